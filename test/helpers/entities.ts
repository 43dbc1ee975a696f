/** Entities for tests: everything has a value, a test names what matters to it. */
import type { Customer, Limit, Provider, Team, User, VirtualKey } from '../../src/store/entities.ts'
import { newId } from '../../src/units/id.ts'
import { compileWindow } from '../../src/units/window.ts'

const MADE = Date.parse('2026-11-01T00:00:00Z')
const made = () => ({ id: newId(), managedBy: 'api' as const, createdAt: MADE, updatedAt: MADE })

/** A limit as a row would be loaded: its window compiled from the text. */
export function aLimit(fields: Partial<Limit> & Pick<Limit, 'metric' | 'max'>): Limit {
  const window = fields.metric === 'concurrency' ? null : (fields.window ?? '1h')
  const usual = window === null || window === 'lifetime' ? null : 'fixed'
  const align = fields.align === undefined ? usual : fields.align
  const anchor = fields.anchor ?? MADE
  const timezone = fields.timezone ?? 'UTC'
  return {
    ...made(),
    scope: { kind: 'global', id: null },
    window,
    align,
    timezone,
    provider: null,
    model: null,
    mode: 'enforce',
    alertAt: ['0.8', '1'],
    anchor,
    countNumber: 1,
    override: null,
    spec: compileWindow({ window, align, timezone, anchor }),
    invalid: null,
    ...fields,
  }
}

export function aCustomer(fields: Partial<Customer> = {}): Customer {
  return { ...made(), name: 'acme', metadata: {}, ...fields }
}

export function aTeam(fields: Partial<Team> = {}): Team {
  return { ...made(), name: 'research', customerId: null, metadata: {}, ...fields }
}

export function aUser(fields: Partial<User> = {}): User {
  return {
    ...made(),
    name: 'ada',
    email: null,
    kind: 'normal',
    expiresAt: null,
    disabledAt: null,
    disabledReason: null,
    maxIps: null,
    note: null,
    metadata: {},
    ...fields,
  }
}

export function aVirtualKey(fields: Partial<VirtualKey> = {}): VirtualKey {
  return {
    ...made(),
    name: 'notebook',
    hash: '0'.repeat(64),
    keyStart: 'sk-bursar-0000',
    userId: null,
    teamId: null,
    customerId: null,
    active: true,
    expiresAt: null,
    access: null,
    allowedIps: null,
    passthrough: false,
    metadata: {},
    rotatedAt: null,
    previousHash: null,
    previousUntil: null,
    ...fields,
  }
}

export function aProvider(fields: Partial<Provider> = {}): Provider {
  return {
    ...made(),
    name: 'openai',
    kind: 'openai',
    baseUrl: 'http://127.0.0.1:1/v1',
    apiVersion: null,
    deployments: {},
    timeoutMs: null,
    headers: {},
    enabled: true,
    keys: [],
    ...fields,
  }
}
