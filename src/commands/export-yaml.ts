/**
 * `bursar export --yaml`: the entities as bursar.yaml declares them. Applying it where it was written changes nothing.
 *
 * Keys of virtual keys are known by their hashes only and are left out: a key that is there keeps its own. Credentials of providers stand as
 * variables, to be set by whoever applies the file.
 */
import { stringify } from 'yaml'
import { type AdminClient, all } from './admin-client.ts'

type Entity = Readonly<Record<string, unknown>> & { readonly id: string; readonly name: string }
type Shown = Record<string, unknown>

const HEAD = `# Written by bursar export --yaml. Settings are not in it: they stand only in the file that the gateway reads.
# Set the variables of provider credentials before applying it.
`

export async function exportYaml(client: AdminClient): Promise<string> {
  const read = async (path: string) => {
    const entities: Entity[] = []
    for await (const entity of all<Entity>(client, path)) entities.push(entity)
    return entities
  }
  const customers = await read('/customers')
  const teams = await read('/teams')
  const users = await read('/users')
  const keys = await read('/virtual-keys')
  const providers = await read('/providers')
  const prices = await read('/prices')
  const globals = await read('/limits?scope_kind=global')
  const nameOf = (entities: readonly Entity[]) => {
    const names = new Map(entities.map(({ id, name }) => [id, name]))
    return (id: unknown) => names.get(String(id)) ?? null
  }
  const [customerName, teamName, userName] = [customers, teams, users].map(nameOf) as [Name, Name, Name]
  const document = {
    providers: providers.map(providerText),
    prices: prices.map((price) => some(price, PRICE_FIELDS)),
    customers: customers.map((customer) => ({ ...some(customer, ['name', 'metadata']), ...limitsOf(customer) })),
    teams: teams.map((team) => ({
      ...some(team, ['name', 'metadata']),
      ...given({ customer: customerName(team.customer_id) }),
      ...limitsOf(team),
    })),
    users: users.map((user) => ({ ...some(user, USER_FIELDS), limits: (user.limits as Entity[]).map(limitText) })),
    virtual_keys: keys.map((key) => ({
      ...some(key, KEY_FIELDS),
      ...(key.active === false ? { active: false } : {}),
      ...given({ user: userName(key.user_id), team: teamName(key.team_id), customer: customerName(key.customer_id) }),
      // `[]` allows nothing: it must stay.
      ...(key.access === null ? {} : { access: key.access }),
      ...(key.allowed_ips === null ? {} : { allowed_ips: key.allowed_ips }),
      ...limitsOf(key),
    })),
    limits: globals.map((limit) => ({ scope: 'global', ...limitText(limit) })),
  }
  const filled = Object.fromEntries(Object.entries(document).filter(([, entities]) => entities.length > 0))
  return HEAD + stringify(filled, { lineWidth: 140 })
}

type Name = (id: unknown) => string | null

const USER_FIELDS = ['name', 'email', 'kind', 'expires_at', 'max_ips', 'note', 'metadata']
const KEY_FIELDS = ['name', 'expires_at', 'passthrough', 'metadata']
const LIMIT_FIELDS = ['metric', 'max', 'window', 'align', 'timezone', 'provider', 'model', 'mode', 'alert_at']
const PROVIDER_FIELDS = ['name', 'kind', 'base_url', 'api_version', 'deployments', 'timeout_ms', 'enabled']
const PRICE_FIELDS = [
  'provider',
  'model',
  'input_usd_per_million',
  'output_usd_per_million',
  'cache_read_usd_per_million',
  'cache_write_usd_per_million',
  'usd_per_request',
  'effective_from',
]

function providerText(provider: Entity): Shown {
  const keys = (provider.keys as readonly (Entity & { weight: number })[]).map(({ name, weight }) => ({
    name,
    value: `\${${variable(provider.name, name)}}`,
    weight,
  }))
  const headers = Object.keys(provider.headers as object).map((name) => [name, `\${${variable(provider.name, name)}}`])
  return {
    ...some(provider, PROVIDER_FIELDS),
    ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers) }),
    ...(keys.length === 0 ? {} : { keys }),
  }
}

function variable(provider: string, name: string): string {
  return `${provider}_${name}`
    .toUpperCase()
    .replaceAll(/[^A-Z0-9_]/g, '_')
    .replace(/^(?=\d)/, '_')
}

function limitsOf(entity: Entity): Shown {
  const limits = (entity.limits as Entity[]).map(limitText)
  return limits.length === 0 ? {} : { limits }
}

/** Without what is so anyway. */
function limitText(limit: Entity): Shown {
  const usual: Shown = { align: 'fixed', timezone: 'UTC', mode: 'enforce' }
  const shown = Object.entries(some(limit, LIMIT_FIELDS)).filter(
    ([field, value]) => usual[field] !== value && !(field === 'alert_at' && String(value) === '0.8,1'),
  )
  return Object.fromEntries(shown)
}

/** The fields that say something. */
function some(entity: Readonly<Record<string, unknown>>, fields: readonly string[]): Shown {
  const shown = fields.map((field) => [field, entity[field]] as const).filter(([, value]) => saysSomething(value))
  return Object.fromEntries(shown)
}

function saysSomething(value: unknown): boolean {
  if (value === null || value === undefined || value === false) return false
  return typeof value !== 'object' || Object.keys(value).length > 0
}

function given(fields: Shown): Shown {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))
}
