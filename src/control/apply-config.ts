/**
 * Apply config: makes the database say what bursar.yaml declares. Idempotent, in one transaction, at each start: it creates and updates
 * by name, wins for what it names, and resets no usage.
 */
import { isDeepStrictEqual } from 'node:util'
import { findCustomerByName } from '../persist/repositories/customers.ts'
import { pricesOf } from '../persist/repositories/prices.ts'
import { findProviderByName } from '../persist/repositories/providers.ts'
import { findTeamByName } from '../persist/repositories/teams.ts'
import { findUserByName } from '../persist/repositories/users.ts'
import { findVirtualKeyByName } from '../persist/repositories/virtual-keys.ts'
import type { ConfigDifferences, ConfigFile } from '../schemas/config-file.ts'
import type { VirtualKeyText } from '../schemas/virtual-key.ts'
import { parseTime } from '../units/time.ts'
import type { Control } from './control.ts'
import { createCustomer, createTeam, patchCustomer, patchTeam } from './customers.ts'
import { limitsMeant, upsertLimits } from './limit-upsert.ts'
import { createPrice, patchPrice, samePrice, withChanges } from './prices.ts'
import { createProvider, patchProvider } from './providers.ts'
import { type Named, prune } from './prune.ts'
import { at, invalid } from './refused.ts'
import { createUser, patchUser } from './users.ts'
import { createVirtualKey, importValue, patchVirtualKey } from './virtual-keys.ts'
import { FILE_ACTOR, type Work } from './work.ts'

export interface Applied {
  /** What was done, such as `team.create research`. */
  readonly done: readonly string[]
  /** What `prune` would have deleted, had nothing referred to it. */
  readonly kept: readonly string[]
}

/** Where generated keys are put: they must never reach the log. */
export type KeyWriter = (name: string, key: string) => Promise<void>

/** Throws `ControlError` whose details name the place in the file; then nothing has changed. */
export async function applyConfig(control: Control, config: ConfigFile, writeKey: KeyWriter): Promise<Applied> {
  return await control.write(FILE_ACTOR, (work) => apply(work, config, writeKey))
}

/** What {@link applyConfig} would change. Throws as that does, and changes nothing. */
export async function rehearseConfig(control: Control, config: ConfigFile): Promise<ConfigDifferences> {
  const { result, changes } = await control.rehearse(FILE_ACTOR, (work) => apply(work, config, async () => {}))
  return {
    changes: changes.map(({ action, entityName, before, after }) => ({
      action,
      name: entityName,
      fields: differing(before as Fields, after as Fields),
    })),
    kept: [...result.kept],
  }
}

type Fields = Readonly<Record<string, unknown>> | null

function differing(before: Fields, after: Fields): { field: string; before: unknown; after: unknown }[] {
  const fields = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])
  return [...fields]
    .filter((field) => field !== 'updated_at' && !isDeepStrictEqual(before?.[field], after?.[field]))
    .map((field) => ({ field, before: before?.[field] ?? null, after: after?.[field] ?? null }))
}

async function apply(work: Work, config: ConfigFile, writeKey: KeyWriter): Promise<Applied> {
  const named: Named = { limits: new Set(), entities: new Set() }
  await applyProviders(work, config, named)
  await applyOwners(work, config, named)
  await applyVirtualKeys(work, config, named, writeKey)
  await applyPrices(work, config, named)
  const global = (config.limits ?? []).map(({ scope: _, ...limit }) => limit)
  await name(named, upsertLimits(work, { kind: 'global', id: null }, global, 'limits'))
  const kept = config.prune === true ? await prune(work, named) : []
  return { done: work.done, kept }
}

async function name(named: Named, limits: Promise<string[]>): Promise<void> {
  for (const id of await limits) named.limits.add(id)
}

async function applyProviders(work: Work, config: ConfigFile, named: Named): Promise<void> {
  for (const [index, text] of (config.providers ?? []).entries()) {
    const path = `providers[${index}]`
    const known = await findProviderByName(work.db, text.name, work.parts.secrets)
    const provider =
      known === null ? await createProvider(work, text, path) : await patchProvider(work, known.id, text, path)
    nameOnce(named, provider.id, at(path, 'name'))
  }
}

async function applyOwners(work: Work, config: ConfigFile, named: Named): Promise<void> {
  for (const [index, { limits = [], ...text }] of (config.customers ?? []).entries()) {
    const path = `customers[${index}]`
    const known = await findCustomerByName(work.db, text.name)
    const { id } =
      known === null ? await createCustomer(work, text, path) : await patchCustomer(work, known.id, text, path)
    nameOnce(named, id, at(path, 'name'))
    await name(named, upsertLimits(work, { kind: 'customer', id }, limits, at(path, 'limits')))
  }
  for (const [index, { limits = [], customer, ...fields }] of (config.teams ?? []).entries()) {
    const path = `teams[${index}]`
    const customerId = await idOf(
      customer,
      (wanted) => findCustomerByName(work.db, wanted),
      'customer',
      at(path, 'customer'),
    )
    const text = { ...fields, ...(customerId === undefined ? {} : { customer_id: customerId }) }
    const known = await findTeamByName(work.db, text.name)
    const { id } = known === null ? await createTeam(work, text, path) : await patchTeam(work, known.id, text, path)
    nameOnce(named, id, at(path, 'name'))
    await name(named, upsertLimits(work, { kind: 'team', id }, limits, at(path, 'limits')))
  }
  for (const [index, { limits, ...text }] of (config.users ?? []).entries()) {
    const path = `users[${index}]`
    const known = await findUserByName(work.db, text.name)
    const own = limits === undefined ? {} : { limits: [] }
    const user =
      known === null
        ? (await createUser(work, { ...text, ...own }, path)).user
        : await patchUser(work, known.id, text, path)
    nameOnce(named, user.id, at(path, 'name'))
    const scope = { kind: 'user', id: user.id } as const
    if (limits !== undefined) await name(named, upsertLimits(work, scope, limits, at(path, 'limits')))
    else {
      // The kind's defaults, given once at the creation, count as named.
      const defaults = work.parts.settings.userDefaults[user.kind].limits
      await name(named, limitsMeant(work, scope, defaults, `user_defaults.${user.kind}.limits`))
    }
  }
}

async function applyVirtualKeys(work: Work, config: ConfigFile, named: Named, writeKey: KeyWriter): Promise<void> {
  for (const [index, text] of (config.virtual_keys ?? []).entries()) {
    const path = `virtual_keys[${index}]`
    const { limits = [], value, ...settings } = await withOwners(work, text, path)
    const known = await findVirtualKeyByName(work.db, text.name)
    if (known === null) {
      const issued = await createVirtualKey(work, { ...settings, ...(value === undefined ? {} : { value }) }, path)
      // Before the commit: a key that nobody can read would be worse than a file that the next start overwrites.
      if (value === undefined) await writeKey(text.name, issued.value)
    } else {
      const key = await patchVirtualKey(work, known.id, settings, path)
      if (value !== undefined) await importValue(work, key, value, path)
    }
    const id = known?.id ?? (await findVirtualKeyByName(work.db, text.name))?.id ?? ''
    nameOnce(named, id, at(path, 'name'))
    await name(named, upsertLimits(work, { kind: 'virtual_key', id }, limits, at(path, 'limits')))
  }
}

async function withOwners(work: Work, { user, team, customer, ...rest }: VirtualKeyText, path: string) {
  const userId = await idOf(user, (wanted) => findUserByName(work.db, wanted), 'user', at(path, 'user'))
  const teamId = await idOf(team, (wanted) => findTeamByName(work.db, wanted), 'team', at(path, 'team'))
  const customerId = await idOf(
    customer,
    (wanted) => findCustomerByName(work.db, wanted),
    'customer',
    at(path, 'customer'),
  )
  return {
    ...rest,
    ...(userId === undefined ? {} : { user_id: userId }),
    ...(teamId === undefined ? {} : { team_id: teamId }),
    ...(customerId === undefined ? {} : { customer_id: customerId }),
  }
}

/** A price without a date holds from when it is first seen; another one for the same model then follows it. */
async function applyPrices(work: Work, config: ConfigFile, named: Named): Promise<void> {
  for (const [index, text] of (config.prices ?? []).entries()) {
    const path = `prices[${index}]`
    const known = await pricesOf(work.db, text.provider, text.model)
    const latest = known.findLast(({ effectiveFrom }) => effectiveFrom <= work.now)
    const dated =
      text.effective_from === undefined
        ? undefined
        : known.find((price) => price.effectiveFrom === parseTime(text.effective_from ?? ''))
    if (dated !== undefined) nameOnce(named, (await patchPrice(work, dated.id, text, path)).id, path)
    else if (
      text.effective_from === undefined &&
      latest !== undefined &&
      samePrice(latest, await withChanges(work, blank(latest), text, path))
    ) {
      nameOnce(named, latest.id, path)
    } else nameOnce(named, (await createPrice(work, text, path)).id, path)
  }
}

function blank<P extends object>(price: P): P {
  return {
    ...price,
    inputPerMillion: null,
    outputPerMillion: null,
    cacheReadPerMillion: null,
    cacheWritePerMillion: null,
    perRequest: null,
  }
}

/** Undefined where the file says nothing, null where it says none. */
async function idOf(
  wanted: string | null | undefined,
  find: (name: string) => Promise<{ readonly id: string } | null>,
  noun: string,
  path: string,
): Promise<string | null | undefined> {
  if (wanted == null) return wanted
  const found = await find(wanted)
  if (found === null) throw invalid([{ path, message: `names the ${noun} "${wanted}", which does not exist` }])
  return found.id
}

function nameOnce(named: Named, id: string, path: string): void {
  if (named.entities.has(id)) throw invalid([{ path, message: 'is the same as one before it' }])
  named.entities.add(id)
}
