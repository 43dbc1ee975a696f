/** Providers and their credentials. */
import { keyStart } from '../auth/virtual-key.ts'
import { countLimitsWithProvider } from '../persist/repositories/limits.ts'
import {
  deleteProvider as deleteRow,
  findProvider,
  findProviderByName,
  insertProvider,
  updateProvider,
} from '../persist/repositories/providers.ts'
import { countKeysWithProvider, countKeysWithProviderKey } from '../persist/repositories/virtual-keys.ts'
import { KINDS } from '../providers/registry.ts'
import type { ProviderCreate, ProviderKeyText, ProviderPatch } from '../schemas/provider.ts'
import type { Provider, ProviderKey, ProviderKind } from '../store/entities.ts'
import { newId } from '../units/id.ts'
import { at, conflict, notFound, Problems } from './refused.ts'
import { sameContent, type Work } from './work.ts'

/** First parts of gateway paths: a provider of such a name could never be reached. */
const RESERVED_NAMES = new Set(['v1', 'v1beta', 'livez', 'readyz'])

export async function createProvider(work: Work, body: ProviderCreate, path = ''): Promise<Provider> {
  const problems = new Problems()
  const provider: Provider = {
    ...work.born(),
    name: body.name,
    kind: body.kind,
    baseUrl: readBaseUrl(body.kind, body.base_url ?? null, path, problems),
    apiVersion: body.api_version ?? null,
    deployments: body.deployments ?? {},
    timeoutMs: body.timeout_ms ?? null,
    headers: body.headers ?? {},
    enabled: body.enabled ?? true,
    keys: readKeys(body.keys ?? [], [], false, at(path, 'keys'), problems),
  }
  checkName(provider.name, path, problems)
  problems.check()
  await takeName(work, provider, path)
  await insertProvider(work.db, provider, work.parts.secrets)
  work.created('provider', provider)
  return provider
}

export async function patchProvider(work: Work, id: string, patch: ProviderPatch, path = ''): Promise<Provider> {
  const provider = await stored(work, id)
  const problems = new Problems()
  const kind = patch.kind ?? provider.kind
  const baseUrl = readBaseUrl(kind, nextBaseUrl(provider, patch), path, problems)
  const moved = baseUrl !== provider.baseUrl
  if (moved && patch.headers === undefined && Object.keys(provider.headers).length > 0) {
    problems.add(at(path, 'headers'), 'must be given again, because base_url changes')
  }
  if (moved && patch.keys === undefined && provider.keys.length > 0) {
    problems.add(at(path, 'keys'), 'must be given again with their values, because base_url changes')
  }
  const changed: Provider = {
    ...provider,
    name: patch.name ?? provider.name,
    kind,
    baseUrl,
    apiVersion: patch.api_version === undefined ? provider.apiVersion : patch.api_version,
    deployments: patch.deployments === undefined ? provider.deployments : (patch.deployments ?? {}),
    timeoutMs: patch.timeout_ms === undefined ? provider.timeoutMs : patch.timeout_ms,
    headers: patch.headers === undefined ? provider.headers : (patch.headers ?? {}),
    enabled: patch.enabled ?? provider.enabled,
    keys:
      patch.keys === undefined
        ? provider.keys
        : readKeys(patch.keys ?? [], provider.keys, moved, at(path, 'keys'), problems),
    updatedAt: work.now,
  }
  checkName(changed.name, path, problems)
  problems.check()
  if (sameContent(provider, changed)) return provider
  if (changed.name !== provider.name) {
    await refuseWhileReferenced(work, provider, 'renamed')
    await takeName(work, changed, path)
  }
  await refuseLostKeys(work, provider, changed, path)
  await updateProvider(work.db, changed, work.parts.secrets)
  work.changed('provider', provider, changed)
  return changed
}

export async function deleteProvider(work: Work, id: string): Promise<void> {
  const provider = await stored(work, id)
  await refuseWhileReferenced(work, provider, 'deleted')
  await deleteRow(work.db, id)
  work.deleted('provider', provider)
}

async function stored(work: Work, id: string): Promise<Provider> {
  const provider = await findProvider(work.db, id, work.parts.secrets)
  if (provider === null) throw notFound('provider', id)
  return provider
}

/** Names are the same in any case. */
async function takeName(work: Work, provider: Provider, path: string): Promise<void> {
  const owner = await findProviderByName(work.db, provider.name, work.parts.secrets)
  if (owner === null || owner.id === provider.id) return
  throw conflict(`There is already a provider named "${owner.name}".`, at(path, 'name'))
}

/** Limits and access lists name providers by name. */
async function refuseWhileReferenced(work: Work, { name }: Provider, action: string): Promise<void> {
  const limits = await countLimitsWithProvider(work.db, name)
  const keys = await countKeysWithProvider(work.db, name)
  if (limits + keys === 0) return
  throw conflict(
    `The provider cannot be ${action}: ${limits} limits and the access lists of ${keys} virtual keys name it.`,
  )
}

async function refuseLostKeys(work: Work, before: Provider, after: Provider, path: string): Promise<void> {
  for (const key of before.keys) {
    if (after.keys.some(({ id }) => id === key.id)) continue
    const users = await countKeysWithProviderKey(work.db, key.id)
    if (users === 0) continue
    throw conflict(
      `The key "${key.name}" cannot go: the access lists of ${users} virtual keys name it.`,
      at(path, 'keys'),
    )
  }
}

function checkName(name: string, path: string, problems: Problems): void {
  if (RESERVED_NAMES.has(name.toLowerCase()))
    problems.add(at(path, 'name'), `must not be "${name}": that is a path of the gateway`)
}

/** A change of the kind moves a provider that stood at its kind's usual address. */
function nextBaseUrl(provider: Provider, patch: ProviderPatch): string | null {
  if (patch.base_url !== undefined) return patch.base_url
  const usual = patch.kind !== undefined && provider.baseUrl === KINDS[provider.kind].defaultBaseUrl
  return usual ? null : provider.baseUrl
}

function readBaseUrl(kind: ProviderKind, text: string | null, path: string, problems: Problems): string {
  const baseUrl = text ?? KINDS[kind].defaultBaseUrl
  if (baseUrl === null) problems.add(at(path, 'base_url'), `is missing: ${kind} providers have no public address`)
  return (baseUrl ?? '').replace(/\/+$/, '')
}

/** The keys from now on. One that stays is found by its name and may leave out its value, unless the provider has moved. */
function readKeys(
  texts: readonly ProviderKeyText[],
  known: readonly ProviderKey[],
  moved: boolean,
  path: string,
  problems: Problems,
): ProviderKey[] {
  const names = new Set<string>()
  return texts.map(({ name, value: given, weight }, index) => {
    const here = `${path}[${index}]`
    const kept = known.find((key) => key.name === name)
    if (names.has(name)) problems.add(at(here, 'name'), `names "${name}" twice`)
    names.add(name)
    const value = given ?? (moved ? undefined : kept?.value)
    if (value === undefined) {
      problems.add(
        at(here, 'value'),
        moved ? 'is missing: base_url changes' : `is missing: there is no key "${name}" yet`,
      )
    }
    return {
      id: kept?.id ?? newId(),
      name,
      value: value ?? '',
      keyStart: keyStart(value ?? ''),
      weight: weight ?? kept?.weight ?? 1,
    }
  })
}
