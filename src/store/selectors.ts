/**
 * Selectors: which requests a limit looks at, by provider and by model name, model glob or model family (DESIGN section 4).
 *
 * Every matching limit applies, not only the most specific. Comparison ignores case, else `GPT-4o` would pass by a limit on `gpt-4o`. A
 * (provider, model) pair maps through one bounded memory to the set of selectors it matches, so nothing grows with names that
 * strangers invent.
 */
import type { Limit } from './entities.ts'
import { compileGlob, isGlob } from './glob.ts'

/** Ordered: a model belongs to the first family with a pattern that matches it, or to none. */
export type ModelFamilies = readonly { readonly name: string; readonly patterns: readonly string[] }[]

const FAMILY_PREFIX = 'family:'

/** The family a limit's `model` names, or null where it is a name or a glob. */
export function familyOfSelector(model: string | null): string | null {
  return model?.startsWith(FAMILY_PREFIX) === true ? model.slice(FAMILY_PREFIX.length) : null
}

type Matcher = (model: string) => boolean

const compiledFamilies = new WeakMap<ModelFamilies, readonly { readonly name: string; readonly matches: Matcher }[]>()

/** The family of a model, or null. */
export function familyOf(families: ModelFamilies, model: string): string | null {
  let compiled = compiledFamilies.get(families)
  if (compiled === undefined) {
    compiled = families.map(({ name, patterns }) => {
      const matchers = patterns.map((pattern) => compileGlob(pattern.toLowerCase()))
      return { name, matches: (folded) => matchers.some((matches) => matches(folded)) }
    })
    compiledFamilies.set(families, compiled)
  }
  const folded = model.toLowerCase()
  return compiled.find(({ matches }) => matches(folded))?.name ?? null
}

/** How particular a selector is, most particular first: the order in which limits of one scope are checked (CONTRACT section 5). */
export function selectorRank({ provider, model }: Pick<Limit, 'provider' | 'model'>): number {
  if (model === null) return provider === null ? 5 : 4
  const exact = familyOfSelector(model) === null && !isGlob(model)
  if (exact) return provider === null ? 1 : 0
  return provider === null ? 3 : 2
}

/** The selectors that one (provider, model) pair matches. Equal sets are the same object. */
export interface SelectorSet {
  has(selector: string): boolean
}

/** The text by which equal selectors are recognised. */
export function selectorOf({ provider, model }: Pick<Limit, 'provider' | 'model'>): string {
  return `${provider?.toLowerCase() ?? ''}\n${model?.toLowerCase() ?? ''}`
}

/** A selector, ready to be asked. Names and models are given in lower case. */
interface CompiledSelector {
  readonly provider: string | null
  readonly matches: (model: string | null, family: string | null) => boolean
}

const PAIRS_MAX = 10_000

/** Knows every selector in use, and which of them a request matches. */
export class Selectors {
  readonly #families: ModelFamilies
  readonly #inUse = new Map<string, CompiledSelector>()
  readonly #byPair = new Map<string, SelectorSet>()
  /** By content. Emptied with the pairs, so that it is bounded too. */
  readonly #sets = new Map<string, SelectorSet>()
  #last: Pick<Limit, 'provider' | 'model'> | null = null

  constructor(families: ModelFamilies) {
    this.#families = families
  }

  /** Makes a limit's selector known. Selectors of deleted limits stay: they are few and match nobody's chain. */
  add(limit: Pick<Limit, 'provider' | 'model'>): void {
    if (this.#last?.provider === limit.provider && this.#last.model === limit.model) return
    this.#last = limit
    const selector = selectorOf(limit)
    if (this.#inUse.has(selector)) return
    this.#inUse.set(selector, compileSelector(limit))
    this.#forget()
  }

  /** The set for a request to `model` at `provider`; either is null for a request that has none (T07). */
  match(provider: string | null, model: string | null): SelectorSet {
    const pair = `${provider ?? ''}\n${model ?? ''}`
    const known = this.#byPair.get(pair)
    if (known !== undefined) return known
    if (this.#byPair.size >= PAIRS_MAX) this.#forget()
    const set = this.#intern(this.#matching(provider?.toLowerCase() ?? null, model?.toLowerCase() ?? null))
    this.#byPair.set(pair, set)
    return set
  }

  #forget(): void {
    this.#byPair.clear()
    this.#sets.clear()
  }

  #matching(provider: string | null, model: string | null): string[] {
    const family = model === null ? null : (familyOf(this.#families, model)?.toLowerCase() ?? null)
    const matching: string[] = []
    for (const [selector, wanted] of this.#inUse) {
      if (wanted.provider !== null && wanted.provider !== provider) continue
      if (wanted.matches(model, family)) matching.push(selector)
    }
    return matching
  }

  #intern(matching: string[]): SelectorSet {
    const content = matching.join('\n\n')
    const known = this.#sets.get(content)
    if (known !== undefined) return known
    const set = new Set(matching)
    this.#sets.set(content, set)
    return set
  }
}

function compileSelector({ provider, model }: Pick<Limit, 'provider' | 'model'>): CompiledSelector {
  return { provider: provider?.toLowerCase() ?? null, matches: modelMatcher(model) }
}

function modelMatcher(wanted: string | null): CompiledSelector['matches'] {
  if (wanted === null) return () => true
  const wantedFamily = familyOfSelector(wanted)?.toLowerCase()
  if (wantedFamily !== undefined) return (_model, family) => family === wantedFamily
  const matches = compileGlob(wanted.toLowerCase())
  return (model) => model !== null && matches(model)
}
