/** Access text: a key's access list, checked against the providers that exist. */
import type { AccessRuleText } from '../schemas/virtual-key.ts'
import type { AccessRule, Provider } from '../store/entities.ts'
import { mustBeProvider } from './references.ts'
import type { Problems } from './refused.ts'
import type { Work } from './work.ts'

/** Reads an access list: null = everything, [] = nothing. Provider keys may go by id or, in bursar.yaml, by name. */
export async function readAccess(
  work: Work,
  rules: readonly AccessRuleText[] | null,
  path: string,
  problems: Problems,
): Promise<AccessRule[] | null> {
  if (rules === null) return null
  const access: AccessRule[] = []
  for (const [index, rule] of rules.entries()) {
    const here = `${path}[${index}]`
    const provider = await mustBeProvider(work, rule.provider, `${here}.provider`, problems)
    const { models = null, blocked_models: blockedModels = [], key_ids: keyIds = null, weight = 1 } = rule
    checkPatterns(models ?? [], `${here}.models`, problems)
    checkPatterns(blockedModels, `${here}.blocked_models`, problems)
    access.push({
      provider: provider?.name ?? rule.provider,
      models,
      blockedModels,
      keyIds: keyIds === null ? null : readKeyIds(provider, keyIds, `${here}.key_ids`, problems),
      weight,
    })
  }
  return access
}

/** `*` beside other patterns, or one twice, means that the author meant something else. */
function checkPatterns(patterns: readonly string[], path: string, problems: Problems): void {
  if (patterns.length > 1 && patterns.includes('*'))
    problems.add(path, 'must not name * beside others: * is everything')
  const seen = new Set<string>()
  for (const [index, pattern] of patterns.entries()) {
    const folded = pattern.toLowerCase()
    if (seen.has(folded)) problems.add(`${path}[${index}]`, `names "${pattern}" twice (case does not matter)`)
    seen.add(folded)
  }
}

function readKeyIds(provider: Provider | null, texts: readonly string[], path: string, problems: Problems): string[] {
  if (provider === null) return []
  return texts.map((text, index) => {
    const key = provider.keys.find(({ id, name }) => id === text || name === text)
    if (key === undefined)
      problems.add(`${path}[${index}]`, `names a key that provider "${provider.name}" does not have`)
    return key?.id ?? text
  })
}
