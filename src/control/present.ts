/**
 * Present: entities with what the admin API shows beside their own fields: limits with their live numbers, last use, addresses,
 * lifetime usage. Each function takes a whole page, so that a list costs as many queries as a single entity.
 */
import type { Db } from '../persist/repositories/db.ts'
import { limitsOfEntities } from '../persist/repositories/limits.ts'
import { addressesOfUsers, lifetimeOfUsers, type StoredUser } from '../persist/repositories/users.ts'
import type { StoredVirtualKey } from '../persist/repositories/virtual-keys.ts'
import type { CustomerView, TeamView } from '../schemas/customer.ts'
import type { LimitView } from '../schemas/limit.ts'
import type { UserView } from '../schemas/user.ts'
import type { VirtualKeyView } from '../schemas/virtual-key.ts'
import type { Customer, Limit, ScopeKind, Team, VirtualKey } from '../store/entities.ts'
import { familyOf } from '../store/selectors.ts'
import { formatTime, formatTimeOrNull } from '../units/time.ts'
import { amountOf, customerFields, limitFields, teamFields, userFields, virtualKeyFields } from './fields.ts'
import type { ControlParts, Reading } from './work.ts'

export function presentLimit(parts: ControlParts, limit: Limit): LimitView {
  const reading = parts.ledger.read(limit.id, parts.clock.now())
  return { ...limitFields(limit), usage: usageOf(limit, reading) }
}

function usageOf({ metric, max, spec }: Limit, reading: Reading | null): LimitView['usage'] {
  const endless = metric === 'concurrency' || spec?.kind === 'lifetime'
  return {
    window_started_at: reading === null || endless ? null : formatTime(reading.windowStart),
    resets_at: reading === null || endless ? null : formatTimeOrNull(reading.windowEnd),
    posted: amountOf(metric, reading?.posted ?? 0n),
    held: amountOf(metric, reading?.held ?? 0n),
    remaining: amountOf(metric, reading?.remaining ?? max),
    lifetime: amountOf(metric, reading?.lifetime ?? 0n),
  }
}

/** The limits of each entity, ready to be shown. */
async function limitViews(parts: ControlParts, db: Db, kind: ScopeKind, ids: readonly string[]) {
  const limits = await limitsOfEntities(db, kind, ids)
  return (id: string) => (limits.get(id) ?? []).map((limit) => presentLimit(parts, limit))
}

export async function presentCustomers(
  parts: ControlParts,
  db: Db,
  customers: readonly Customer[],
): Promise<CustomerView[]> {
  const limitsOf = await limitViews(parts, db, 'customer', idsOf(customers))
  return customers.map((customer) => ({ ...customerFields(customer), limits: limitsOf(customer.id) }))
}

export async function presentTeams(parts: ControlParts, db: Db, teams: readonly Team[]): Promise<TeamView[]> {
  const limitsOf = await limitViews(parts, db, 'team', idsOf(teams))
  return teams.map((team) => ({ ...teamFields(team), limits: limitsOf(team.id) }))
}

export async function presentVirtualKeys(
  parts: ControlParts,
  db: Db,
  stored: readonly StoredVirtualKey[],
): Promise<VirtualKeyView[]> {
  const limitsOf = await limitViews(parts, db, 'virtual_key', idsOf(stored.map(({ key }) => key)))
  const now = parts.clock.now()
  return stored.map(({ key, lastUsedAt }) => ({
    ...virtualKeyFields(key),
    status: statusOf(key, now),
    last_used_at: formatTimeOrNull(lastUsedAt),
    limits: limitsOf(key.id),
  }))
}

/** Disabled wins over expired. */
function statusOf({ active, expiresAt }: VirtualKey, now: number): VirtualKeyView['status'] {
  if (!active) return 'disabled'
  return expiresAt !== null && expiresAt <= now ? 'expired' : 'active'
}

export async function presentUsers(parts: ControlParts, db: Db, stored: readonly StoredUser[]): Promise<UserView[]> {
  const ids = idsOf(stored.map(({ user }) => user))
  const limitsOf = await limitViews(parts, db, 'user', ids)
  const addresses = await addressesOfUsers(db, ids)
  const usage = await lifetimeUsage(parts, db, ids)
  return stored.map(({ user, lastUsedAt }) => ({
    ...userFields(user),
    ips: (addresses.get(user.id) ?? []).map(({ address, firstSeenAt, lastSeenAt }) => ({
      address,
      first_seen_at: formatTime(firstSeenAt),
      last_seen_at: formatTime(lastSeenAt),
    })),
    last_used_at: formatTimeOrNull(lastUsedAt),
    usage: usage.get(user.id) ?? { requests: 0, tokens: {} },
    limits: limitsOf(user.id),
  }))
}

/** Lifetime requests, and tokens by model family; models in no family count in none (U05, U14). */
async function lifetimeUsage(
  { settings }: ControlParts,
  db: Db,
  ids: readonly string[],
): Promise<Map<string, UserView['usage']>> {
  const usage = new Map<string, UserView['usage']>()
  for (const { user_id: id, model, requests, tokens } of await lifetimeOfUsers(db, ids)) {
    if (id === null) continue
    const sums = usage.get(id) ?? { requests: 0, tokens: {} }
    sums.requests += Number(requests)
    const family = model === null ? null : familyOf(settings.modelFamilies, model)
    if (family !== null) sums.tokens[family] = (sums.tokens[family] ?? 0) + Number(tokens)
    usage.set(id, sums)
  }
  return usage
}

function idsOf(entities: readonly { readonly id: string }[]): string[] {
  return entities.map(({ id }) => id)
}

/** The one view of a page of one. */
export function only<V>(views: readonly V[]): V {
  const [view] = views
  if (view === undefined || views.length > 1) throw new Error(`one view was asked for, ${views.length} came`)
  return view
}
