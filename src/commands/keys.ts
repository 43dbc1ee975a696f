/** `bursar keys`: virtual keys from the command line. */
import { parseUsd } from '../units/money.ts'
import { AdminCallError, type AdminClient, all, call } from './admin-client.ts'
import { json, type Print, table } from './output.ts'

interface KeyView {
  readonly id: string
  readonly name: string
  readonly key_start: string
  readonly status: string
  readonly user_id: string | null
  readonly team_id: string | null
  readonly customer_id: string | null
  readonly expires_at: string | null
  readonly last_used_at: string | null
  readonly key?: string
}

export interface CreateKeyOptions {
  readonly user?: string
  readonly team?: string
  readonly customer?: string
  readonly value?: string
  readonly expiresAt?: string
  /** As {@link limitOf} has read them. */
  readonly limit: readonly object[]
  readonly json?: boolean
}

/** Makes a key and shows it, this once. Owners go by name or by id. */
export async function createKey(
  client: AdminClient,
  name: string,
  options: CreateKeyOptions,
  print: Print,
): Promise<void> {
  const body = {
    name,
    ...(await owner(client, 'user_id', '/users', options.user)),
    ...(await owner(client, 'team_id', '/teams', options.team)),
    ...(await owner(client, 'customer_id', '/customers', options.customer)),
    ...(options.value === undefined ? {} : { value: options.value }),
    ...(options.expiresAt === undefined ? {} : { expires_at: options.expiresAt }),
    limits: options.limit,
  }
  show(await call<KeyView>(client, 'POST', '/virtual-keys', body), options.json, print)
}

export async function listKeys(
  client: AdminClient,
  options: { readonly search?: string; readonly json?: boolean },
  print: Print,
): Promise<void> {
  const keys: KeyView[] = []
  const path =
    options.search === undefined ? '/virtual-keys' : `/virtual-keys?search=${encodeURIComponent(options.search)}`
  for await (const key of all<KeyView>(client, path)) keys.push(key)
  if (options.json === true) return print(json(keys))
  const rows = keys.map((key) => [
    key.name,
    `${key.key_start}…`,
    key.status,
    key.expires_at ?? 'never',
    key.last_used_at ?? 'never',
    key.id,
  ])
  print(table(['name', 'key', 'status', 'expires', 'last used', 'id'], rows, 'there are no virtual keys'))
}

/** A new key for the same identity; the old one works until the grace ends. */
export async function rotateKey(
  client: AdminClient,
  nameOrId: string,
  options: { readonly grace?: string; readonly json?: boolean },
  print: Print,
): Promise<void> {
  const { id } = await find(client, '/virtual-keys', 'virtual key', nameOrId)
  const body = options.grace === undefined ? {} : { grace: options.grace }
  show(await call<KeyView>(client, 'POST', `/virtual-keys/${id}/rotate`, body), options.json, print)
}

export async function disableKey(
  client: AdminClient,
  nameOrId: string,
  options: { readonly json?: boolean },
  print: Print,
): Promise<void> {
  const { id, name } = await find(client, '/virtual-keys', 'virtual key', nameOrId)
  const changed = await call<object>(client, 'PATCH', `/virtual-keys/${id}`, { active: false })
  print(options.json === true ? json(changed) : `${name} is disabled; its requests are refused from now on\n`)
}

/** The key alone on its line, so that it can be put into a variable. */
function show(key: KeyView, asJson: boolean | undefined, print: Print): void {
  print(asJson === true ? json(key) : `${key.key}\n`)
}

async function owner(client: AdminClient, field: string, path: string, nameOrId: string | undefined): Promise<object> {
  if (nameOrId === undefined) return {}
  const noun = path.slice(1, -1)
  return { [field]: (await find(client, path, noun, nameOrId)).id }
}

interface Named {
  readonly id: string
  readonly name: string
}

async function find(client: AdminClient, path: string, noun: string, nameOrId: string): Promise<Named> {
  for await (const entity of all<Named>(client, `${path}?search=${encodeURIComponent(nameOrId)}`)) {
    if (entity.name === nameOrId) return entity
  }
  if (/^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(nameOrId)) return await call<Named>(client, 'GET', `${path}/${nameOrId}`)
  throw new AdminCallError(`there is no ${noun} named "${nameOrId}"`)
}

/** `metric max window`, such as `cost 10 1d`; null where the text is none. */
export function limitOf(text: string): object | null {
  const [metric = '', max = '', window, ...rest] = text.trim().split(/\s+/)
  const isWhole = metric !== 'cost' && /^\d+$/.test(max)
  if (rest.length > 0 || !(isWhole || (metric === 'cost' && parseUsd(max) !== null))) return null
  return { metric, max: isWhole ? Number(max) : max, ...(window === undefined ? {} : { window }) }
}
