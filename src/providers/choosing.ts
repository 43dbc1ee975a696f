/**
 * Choosing: which providers a bare model name may go to: by the key's weights, else to whoever owns that name most surely.
 *
 * Who has a model and may be asked for it changes with the store alone, so that is remembered; drawing by weight is done for each request.
 */
import { accept, type Result, refuse } from '../admission/decision.ts'
import { type Access, accessOf, FULL_ACCESS, type Grant } from '../auth/access.ts'
import type { Principal } from '../auth/principal.ts'
import type { AccessRule, Provider } from '../store/entities.ts'
import { compileGlob } from '../store/glob.ts'
import { type Claim, claimOf, LACKS, LISTS } from './ownership.ts'
import { speaks } from './registry.ts'
import type { RoutedFacts, RoutingStore } from './routing.ts'
import { drawByWeight } from './weights.ts'

/** A provider that a request may go to. */
export interface Option {
  readonly provider: Provider
  readonly grant: Grant
  readonly claim: Claim
}

/** Who may serve a bare model name, in the order in which they are asked. */
export function chooseByName(
  principal: Principal,
  facts: RoutedFacts,
  model: string,
  store: RoutingStore,
  random: () => number,
): Result<readonly Option[]> {
  const access = accessOf(principal.key)
  const known = choicesOf(store, access)
  const asked = `${facts.format} ${facts.endpoint} ${model}`
  let choice = known.get(asked)
  if (choice === undefined) {
    if (known.size >= CHOICES_MAX) known.clear()
    choice = choose(principal, access, facts, model, store)
    known.set(asked, choice)
  }
  if (!choice.ok) return choice
  return accept(access === FULL_ACCESS ? surest(choice.value) : weighted(choice.value, random))
}

type Choice = Result<readonly Option[]>

/** What each kind of access may choose from, for the models that were asked for since the store has changed. */
interface Choices {
  readonly version: number
  readonly byAccess: WeakMap<Access, Map<string, Choice>>
}

const choicesOfStores = new WeakMap<RoutingStore, Choices>()
/** Models that one kind of access is remembered for: strangers name models too. */
const CHOICES_MAX = 100

function choicesOf(store: RoutingStore, access: Access): Map<string, Choice> {
  let choices = choicesOfStores.get(store)
  if (choices === undefined || choices.version !== store.version) {
    choices = { version: store.version, byAccess: new WeakMap() }
    choicesOfStores.set(store, choices)
  }
  let known = choices.byAccess.get(access)
  if (known === undefined) {
    known = new Map()
    choices.byAccess.set(access, known)
  }
  return known
}

/** Who has the model and may be asked for it; never nobody. */
function choose(principal: Principal, access: Access, facts: RoutedFacts, model: string, store: RoutingStore): Choice {
  const rules = principal.key?.access ?? null
  const serving = [...store.providers.values()].filter((provider) => serves(provider, facts))
  const having: Provider[] = []
  const options: Option[] = []
  for (const provider of serving) {
    const claim = isNamed(rules, provider, model) ? LISTS : claimOf(provider, model, store.prices.values())
    if (claim === LACKS) continue
    having.push(provider)
    const grant = access.grantOf(provider.name, model)
    if (grant !== null) options.push({ provider, grant, claim })
  }
  if (options.length > 0) return accept(options)

  // Nobody: because of the provider, because of the model, or because nobody has it.
  const concerned = having.length > 0 ? having : serving
  const allowed = concerned.filter(({ name }) => access.allowsProvider(name))
  if (allowed.length === 0 && concerned.length > 0) return providerNotAllowed()
  if (concerned.length > 0 && allowed.every(({ name }) => access.grantOf(name, model) === null))
    return modelNotAllowed()
  return modelNotFound()
}

/** Whether the provider can answer such a request at all. */
export function serves({ enabled, kind }: Provider, { format, endpoint }: RoutedFacts): boolean {
  return enabled && speaks(kind, format, endpoint)
}

/** Whether an admin has put this very model on the key's list for the provider: then the provider has it, whatever lists say. */
function isNamed(rules: readonly AccessRule[] | null, provider: Provider, model: string): boolean {
  if (rules === null) return false
  return rules.some(
    ({ provider: name, models }) =>
      compileGlob(name.toLowerCase())(provider.name.toLowerCase()) &&
      models?.some((pattern) => pattern !== '*' && compileGlob(pattern.toLowerCase())(model.toLowerCase())),
  )
}

/** By the key's weights; where none of the options has one, as if there were no weights. */
function weighted(options: readonly Option[], random: () => number): readonly Option[] {
  const drawn = drawByWeight(options, ({ grant }) => grant.weight ?? 0, random)
  return drawn.length > 0 ? drawn : surest(options)
}

/** The options with the best claim, in the order in which their providers were made. */
function surest(options: readonly Option[]): readonly Option[] {
  const best = Math.max(...options.map(({ claim }) => claim))
  return options.filter(({ claim }) => claim === best)
}

export function providerNotAllowed(): Result<never> {
  return refuse('provider_not_allowed', 'This key may not use the provider of this model.', { param: 'model' })
}

export function modelNotAllowed(): Result<never> {
  return refuse('model_not_allowed', 'This key may not use this model.', { param: 'model' })
}

export function modelNotFound(): Result<never> {
  return refuse('model_not_found', 'No provider serves this model in this format.', { param: 'model' })
}
