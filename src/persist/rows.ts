/**
 * Rows: how each entity lies in its table, both ways, in one place. Loading, the repositories and imports share it.
 *
 * A row that cannot be read throws, naming its column: whoever loads many says which row it was and goes on with the rest. A limit
 * whose window cannot be read does not even throw: it comes out `invalid`, so that its traffic is refused by name (T17).
 */
import type { AccessRule, Customer, Team, User, VirtualKey } from '../store/entities.ts'
import { entityFrom, rowOfEntity } from './entity-rows.ts'
import { type AccessRuleRow, json, type NewRow, type Row, timestampOrNull } from './tables.ts'

export { limitFromRow, rowOfLimit } from './limit-rows.ts'
export { priceFromRow, providerFromRow, rowOfPrice, rowOfProvider, rowsOfProviderKeys } from './provider-rows.ts'

export function customerFromRow(row: Row<'customers'>): Customer {
  return { ...entityFrom(row), name: row.name, metadata: row.metadata }
}

export function rowOfCustomer(customer: Customer): NewRow<'customers'> {
  return { ...rowOfEntity(customer), name: customer.name, metadata: json(customer.metadata) }
}

export function teamFromRow(row: Row<'teams'>): Team {
  return { ...entityFrom(row), name: row.name, customerId: row.customer_id, metadata: row.metadata }
}

export function rowOfTeam(team: Team): NewRow<'teams'> {
  return { ...rowOfEntity(team), name: team.name, customer_id: team.customerId, metadata: json(team.metadata) }
}

export function userFromRow(row: Row<'users'>): User {
  return {
    ...entityFrom(row),
    name: row.name,
    email: row.email,
    kind: row.kind,
    expiresAt: row.expires_at,
    disabledAt: row.disabled_at,
    disabledReason: row.disabled_reason,
    maxIps: row.max_ips,
    note: row.note,
    metadata: row.metadata,
  }
}

export function rowOfUser(user: User): NewRow<'users'> {
  return {
    ...rowOfEntity(user),
    name: user.name,
    email: user.email,
    kind: user.kind,
    expires_at: timestampOrNull(user.expiresAt),
    disabled_at: timestampOrNull(user.disabledAt),
    disabled_reason: user.disabledReason,
    max_ips: user.maxIps,
    note: user.note,
    metadata: json(user.metadata),
  }
}

export function virtualKeyFromRow(row: Row<'virtual_keys'>): VirtualKey {
  return {
    ...entityFrom(row),
    name: row.name,
    hash: row.hash,
    keyStart: row.key_start,
    userId: row.user_id,
    teamId: row.team_id,
    customerId: row.customer_id,
    active: row.active,
    expiresAt: row.expires_at,
    access: accessFrom(row.access),
    allowedIps: row.allowed_ips,
    passthrough: row.passthrough,
    metadata: row.metadata,
    rotatedAt: row.rotated_at,
    previousHash: row.previous_hash,
    previousUntil: row.previous_until,
  }
}

export function rowOfVirtualKey(key: VirtualKey): NewRow<'virtual_keys'> {
  return {
    ...rowOfEntity(key),
    name: key.name,
    hash: key.hash,
    key_start: key.keyStart,
    user_id: key.userId,
    team_id: key.teamId,
    customer_id: key.customerId,
    active: key.active,
    expires_at: timestampOrNull(key.expiresAt),
    access: key.access === null ? null : json(key.access.map(rowOfRule)),
    allowed_ips: key.allowedIps === null ? null : [...key.allowedIps],
    passthrough: key.passthrough,
    metadata: json(key.metadata),
    rotated_at: timestampOrNull(key.rotatedAt),
    previous_hash: key.previousHash,
    previous_until: timestampOrNull(key.previousUntil),
  }
}

function rowOfRule(rule: AccessRule): AccessRuleRow {
  return {
    provider: rule.provider,
    models: rule.models,
    blocked_models: rule.blockedModels,
    key_ids: rule.keyIds,
    weight: rule.weight,
  }
}

/** The column is jsonb, so somebody's SQL may have written anything: a rule that cannot be read must not widen what is allowed. */
function accessFrom(access: unknown): AccessRule[] | null {
  if (access === null) return null
  if (!Array.isArray(access)) throw new TypeError('access is not a list')
  return access.map((rule, index) => {
    if (!isRuleRow(rule))
      throw new TypeError(`access[${index}] is not { provider, models, blocked_models, key_ids, weight }`)
    return {
      provider: rule.provider,
      models: rule.models,
      blockedModels: rule.blocked_models,
      keyIds: rule.key_ids,
      weight: rule.weight,
    }
  })
}

function isRuleRow(rule: unknown): rule is AccessRuleRow {
  if (typeof rule !== 'object' || rule === null) return false
  const { provider, models, blocked_models, key_ids, weight } = rule as Partial<Record<keyof AccessRuleRow, unknown>>
  return (
    typeof provider === 'string' &&
    (models === null || isTexts(models)) &&
    isTexts(blocked_models) &&
    (key_ids === null || isTexts(key_ids)) &&
    (weight === null || typeof weight === 'number')
  )
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string')
}
