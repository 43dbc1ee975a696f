/**
 * Routing: which providers may serve a request, in which order they are tried, and with which of their keys.
 *
 * `provider/model` names its provider and is never served by another. A bare model goes by the key's weights, else to whoever owns
 * that name. Access is checked here, for every candidate, so no fallback can reach what the key may not use (F20).
 */
import { accept, type Result, refuse } from '../admission/decision.ts'
import type { NativeCall, RequestFacts, ToolModel } from '../admission/request-facts.ts'
import { UNMETERED } from '../admission/unmetered.ts'
import { accessOf, type Grant } from '../auth/access.ts'
import type { Principal } from '../auth/principal.ts'
import type { Price, PriceBook } from '../pricing/price.ts'
import { type PricedTool, ToolPrice } from '../pricing/tool-price.ts'
import { bareName } from '../store/bare-name.ts'
import type { PriceOverride, Provider, ProviderKey } from '../store/entities.ts'
import type { StoredObject } from '../usage/stored-objects.ts'
import type { Candidate, Route } from './candidate.ts'
import { chooseByName, modelNotAllowed, modelNotFound, type Option, providerNotAllowed, serves } from './choosing.ts'
import { LISTS } from './ownership.ts'
import type { RestingKeys } from './resting-keys.ts'
import { drawByWeight } from './weights.ts'

/** The part of the governance store that routing reads. */
export interface RoutingStore {
  /** In the order in which they were made. */
  readonly providers: ReadonlyMap<string, Provider>
  readonly prices: ReadonlyMap<string, PriceOverride>
  providerByName(name: string): Provider | null
  /** Grows with every change. */
  readonly version: number
}

export interface RoutingOptions {
  /** Other names for models. */
  readonly aliases: ReadonlyMap<string, string>
  /** From 0 to 1, 1 excluded. */
  readonly random: () => number
  readonly prices: PriceBook
  /** Puts candidates whose keys rest behind the others. */
  readonly resting: Pick<RestingKeys, 'last'>
  /** Wall time, ms. */
  readonly now: number
}

export type RoutedFacts = Pick<RequestFacts, 'format' | 'endpoint' | 'requestedModel' | 'native' | 'toolModels'>

/** Some APIs carry the model in the path, where such a name would lead elsewhere. */
const DOT_SEGMENT = /(^|\/)\.{1,2}(\/|$)/

/** All candidates of a request, in order; refused when there is none, for the first of the reasons of CONTRACT section 5 that applies. */
export function route(
  principal: Principal,
  facts: RoutedFacts,
  store: RoutingStore,
  options: RoutingOptions,
): Result<Route> {
  if (facts.native !== undefined) return routeNative(principal, facts, facts.native, store, options)
  const named = options.aliases.get(facts.requestedModel) ?? facts.requestedModel
  const slash = named.indexOf('/')
  const explicit = slash > 0 ? store.providerByName(named.slice(0, slash)) : null
  const model = bareName(explicit === null ? named : named.slice(slash + 1))
  if (DOT_SEGMENT.test(model)) return modelNotFound()
  const choice =
    explicit === null
      ? chooseByName(principal, facts, model, store, options.random)
      : checkNamed(principal, facts, model, explicit)
  return choice.ok ? routeOf(principal, choice.value, model, facts.toolModels ?? NO_TOOLS, options) : choice
}

const NO_TOOLS: readonly ToolModel[] = []

/** @param chosen at least one */
function routeOf(
  principal: Principal,
  chosen: readonly Option[],
  model: string,
  tools: readonly ToolModel[],
  options: RoutingOptions,
): Result<Route> {
  const allowed = tools.length === 0 ? chosen : chosen.filter(({ provider }) => mayCall(principal, provider, tools))
  if (allowed.length === 0) {
    return refuse('model_not_allowed', 'This key may not use a model that a tool of the request calls.', {
      param: 'tools',
    })
  }
  const candidates: Candidate[] = []
  for (const { provider, grant } of allowed) {
    const priced = withTools(options.prices.priceOf(provider, model, options.now), provider, tools, options)
    for (const providerKey of keysOf(provider, grant, options.random)) {
      candidates.push({ provider, providerKey, model, ...priced })
    }
  }
  const route = options.resting.last(candidates, options.now)
  if (route.length > 0) return accept(route as Route)
  return refuse('provider_not_allowed', 'This key may not use any credential of the provider.', { param: 'model' })
}

/** Whether the key may use the models that tools call there, as if it had asked for them. */
function mayCall(principal: Principal, provider: Provider, tools: readonly ToolModel[]): boolean {
  const access = accessOf(principal.key)
  return tools.every(({ model }) => access.grantOf(provider.name, model) !== null)
}

function withTools(
  price: Price | null,
  provider: Provider,
  tools: readonly ToolModel[],
  { prices, now }: RoutingOptions,
): Pick<Candidate, 'price' | 'unpricedTool'> {
  if (tools.length === 0 || price === null) return { price }
  const priced: PricedTool[] = []
  let unpricedTool: string | undefined
  for (const tool of tools) {
    const own = prices.priceOf(provider, tool.model, now)
    if (own === null) unpricedTool = tool.model
    else priced.push({ ...tool, price: own })
  }
  return { price: new ToolPrice(price, priced), ...(unpricedTool === undefined ? {} : { unpricedTool }) }
}

/** Under a provider's name nobody else is asked, and names are the provider's own: no aliases, and a slash is part of the name. */
function routeNative(
  principal: Principal,
  facts: RoutedFacts,
  native: NativeCall,
  store: RoutingStore,
  options: RoutingOptions,
): Result<Route> {
  const provider = store.providerByName(native.provider)
  if (provider === null) return modelNotFound()
  const model = modelOfDeployment(provider, bareName(facts.requestedModel))
  const choice = DOT_SEGMENT.test(model) ? modelNotFound() : checkNamed(principal, facts, model, provider)
  return choice.ok ? routeOf(principal, choice.value, model, facts.toolModels ?? NO_TOOLS, options) : choice
}

/** Azure is asked for deployments; prices, limits and access lists speak of the models in them. */
function modelOfDeployment({ deployments }: Provider, name: string): string {
  return Object.entries(deployments).find(([, deployment]) => deployment === name)?.[0] ?? name
}

/** The only candidates of a call that names no model: the provider, with one of its keys. */
export function routeUnmetered(
  principal: Principal,
  provider: Provider,
  { random, resting, now }: Pick<RoutingOptions, 'random' | 'resting' | 'now'>,
): Result<Route> {
  if (principal.key?.passthrough !== true) {
    return refuse('endpoint_not_allowed', 'This key may only use the provider’s paths that name a model.')
  }
  const grant = accessOf(principal.key).grantOfProvider(provider.name)
  if (grant === null || !provider.enabled) {
    return refuse('provider_not_allowed', 'This key may not use this provider.')
  }
  const keys = keysOf(provider, grant, random)
  const [candidate] = resting.last(
    keys.map((providerKey) => ({ provider, providerKey, model: '', price: UNMETERED })),
    now,
  )
  // The body is sent as it comes, once: nobody else could be asked after that.
  if (candidate !== undefined) return accept([candidate])
  return refuse('provider_not_allowed', 'This key may not use any credential of the provider.')
}

/** The only candidate for what is stored: where it lies, in the account it lies in. */
export function routeStored(principal: Principal, object: StoredObject, store: RoutingStore): Result<Route> {
  const provider = store.providerByName(object.provider)
  if (provider === null || !provider.enabled)
    return refuse('not_found', 'Nothing with this id was stored for this key.')
  if (!accessOf(principal.key).allowsProvider(provider.name)) return providerNotAllowed()
  const providerKey = provider.keys.find(({ id }) => id === object.providerKeyId) ?? provider.keys[0] ?? null
  return accept([{ provider, providerKey, model: '', price: UNMETERED }])
}

/** The candidates of a route that can see what is stored; null where none of them can. */
export function lyingAt(route: Route, object: StoredObject): Route | null {
  const there = route.filter(({ provider }) => provider.name === object.provider)
  const sameAccount = there.filter(({ providerKey }) => (providerKey?.id ?? null) === object.providerKeyId)
  const [first, ...rest] = sameAccount.length > 0 ? sameAccount : there
  return first === undefined ? null : [first, ...rest]
}

function checkNamed(
  principal: Principal,
  facts: RoutedFacts,
  model: string,
  provider: Provider,
): Result<readonly Option[]> {
  const access = accessOf(principal.key)
  if (!access.allowsProvider(provider.name)) return providerNotAllowed()
  const grant = access.grantOf(provider.name, model)
  if (grant === null) return modelNotAllowed()
  if (!serves(provider, facts) || model === '') return modelNotFound()
  return accept([{ provider, grant, claim: LISTS }])
}

/** The provider's keys that may be used, drawn by weight; `null` stands for a provider that wants none. */
function keysOf({ keys }: Provider, { keyIds }: Grant, random: () => number): readonly (ProviderKey | null)[] {
  const any = keyIds === null || keyIds.includes('*')
  if (keys.length === 0) return any ? [null] : []
  const usable = any ? keys : keys.filter(({ id }) => keyIds.includes(id))
  const drawn = drawByWeight(usable, ({ weight }) => weight, random)
  return drawn.length > 0 ? drawn : usable
}
