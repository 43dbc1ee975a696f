/**
 * Access: which providers, models and provider keys a virtual key may use (DESIGN section 4).
 *
 * `null` is everything, `[]` is nothing. Several rules may speak of one provider: a model is allowed when any of them allows it and
 * none of them blocks it, since whoever blocks a model means it. Comparison ignores case, `*` globs.
 */
import type { AccessRule, VirtualKey } from '../store/entities.ts'
import { compileGlob } from '../store/glob.ts'

/** How a key may use one model of one provider. */
export interface Grant {
  /** Which provider keys may be used; null = any of them. */
  readonly keyIds: readonly string[] | null
  /** Share of the traffic of bare model names; null = allowed but never chosen by weight. */
  readonly weight: number | null
}

export interface Access {
  /** Whether the key may use the provider for any model at all. */
  allowsProvider(provider: string): boolean
  /** How the key may use the provider for calls that name no model; null when it may not. */
  grantOfProvider(provider: string): Grant | null
  /** How the key may use the model, as the provider names it; null when it may not. */
  grantOf(provider: string, model: string): Grant | null
}

const EVERYTHING: Grant = { keyIds: null, weight: 1 }

/** No rules at all: every provider, every model. Also for requests without a key, where keys are optional. */
export const FULL_ACCESS: Access = {
  allowsProvider: () => true,
  grantOfProvider: () => EVERYTHING,
  grantOf: () => EVERYTHING,
}

const compiled = new WeakMap<readonly AccessRule[], Access>()

/** The access of a key; compiled once per list of rules. */
export function accessOf(key: VirtualKey | null): Access {
  if (key === null || key.access === null) return FULL_ACCESS
  let access = compiled.get(key.access)
  if (access === undefined) {
    access = compileAccess(key.access)
    compiled.set(key.access, access)
  }
  return access
}

interface CompiledRule {
  readonly isProvider: (provider: string) => boolean
  readonly allows: (model: string) => boolean
  readonly blocks: (model: string) => boolean
  readonly grant: Grant
}

/** Compiles a key's list of rules. */
export function compileAccess(rules: readonly AccessRule[]): Access {
  const compiledRules: readonly CompiledRule[] = rules.map((rule) => ({
    isProvider: matcherOf(rule.provider),
    allows: rule.models === null ? () => true : anyOf(rule.models),
    blocks: anyOf(rule.blockedModels),
    grant: { keyIds: rule.keyIds, weight: rule.weight },
  }))
  const rulesFor = (provider: string) => {
    const name = provider.toLowerCase()
    return compiledRules.filter((rule) => rule.isProvider(name))
  }
  return {
    allowsProvider: (provider) => rulesFor(provider).length > 0,
    grantOfProvider: (provider) => unionOf(rulesFor(provider).map((rule) => rule.grant)),
    grantOf(provider, model) {
      const name = model.toLowerCase()
      const ofProvider = rulesFor(provider)
      if (ofProvider.some((rule) => rule.blocks(name))) return null
      return unionOf(ofProvider.filter((rule) => rule.allows(name)).map((rule) => rule.grant))
    },
  }
}

/** All keys that any of the grants names; the weight is the first's that has one. */
function unionOf(grants: readonly Grant[]): Grant | null {
  const [first, ...rest] = grants
  if (first === undefined || rest.length === 0) return first ?? null
  const keyIds: string[] = []
  for (const grant of grants) {
    if (grant.keyIds === null) return { keyIds: null, weight: weightOf(grants) }
    keyIds.push(...grant.keyIds)
  }
  return { keyIds, weight: weightOf(grants) }
}

function weightOf(grants: readonly Grant[]): number | null {
  return grants.find((grant) => grant.weight !== null)?.weight ?? null
}

function anyOf(patterns: readonly string[]): (text: string) => boolean {
  const matchers = patterns.map(matcherOf)
  return (text) => matchers.some((matches) => matches(text))
}

/** Takes text already in lower case. */
function matcherOf(pattern: string): (text: string) => boolean {
  return compileGlob(pattern.toLowerCase())
}
