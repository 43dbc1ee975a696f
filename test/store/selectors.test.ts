/** Selectors: which limits look at a request, and which of them comes first. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import {
  familyOf,
  familyOfSelector,
  type ModelFamilies,
  Selectors,
  selectorOf,
  selectorRank,
} from '../../src/store/selectors.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const FAMILIES: ModelFamilies = [
  { name: 'small', patterns: ['gpt-4o-mini*', 'claude-*-haiku*'] },
  { name: 'gpt4', patterns: ['gpt-4*', 'o1*'] },
  { name: 'claude', patterns: ['Claude-*'] },
]

type Wanted = { provider: string | null; model: string | null }
const at = (provider: string | null, model: string | null): Wanted => ({ provider, model })

/** Which of the selectors a request matches. */
function matching(wanted: readonly Wanted[], provider: string | null, model: string | null): Wanted[] {
  const selectors = new Selectors(FAMILIES)
  for (const selector of wanted) selectors.add(selector)
  const set = selectors.match(provider, model)
  return wanted.filter((selector) => set.has(selectorOf(selector)))
}

describe('a family', () => {
  test('U14 is the first whose pattern matches; a model in none has none', () => {
    assert.equal(familyOf(FAMILIES, 'gpt-4o-mini-2024'), 'small')
    assert.equal(familyOf(FAMILIES, 'gpt-4o'), 'gpt4')
    assert.equal(familyOf(FAMILIES, 'o1-preview'), 'gpt4')
    assert.equal(familyOf(FAMILIES, 'claude-3-5-haiku-latest'), 'small')
    assert.equal(familyOf(FAMILIES, 'claude-3-opus'), 'claude')
    assert.equal(familyOf(FAMILIES, 'mistral-large'), null)
    assert.equal(familyOf([], 'gpt-4o'), null)
  })

  test('is named by a selector that says so, and by no other', () => {
    assert.equal(familyOfSelector('family:gpt4'), 'gpt4')
    assert.equal(familyOfSelector('gpt-4o'), null)
    assert.equal(familyOfSelector(null), null)
  })
})

describe('a selector', () => {
  test('by provider, by name, by pattern and by family matches, each alone: all of them apply', () => {
    const all = [
      at(null, null),
      at('openai', null),
      at(null, 'gpt-4o'),
      at('openai', 'gpt-4o'),
      at(null, 'gpt-*'),
      at('openai', 'gpt-*'),
      at(null, 'family:gpt4'),
      at('openai', 'family:gpt4'),
    ]
    assert.deepEqual(matching(all, 'openai', 'gpt-4o'), all)
  })

  test('T09 of another provider, model or family does not', () => {
    const others = [
      at('azure', null),
      at('azure', 'gpt-4o'),
      at(null, 'gpt-4'),
      at(null, 'o1*'),
      at(null, 'family:small'),
      at('openai', 'family:claude'),
    ]
    assert.deepEqual(matching(others, 'openai', 'gpt-4o'), [])
  })

  test('T07 by provider or model does not match a request that has none', () => {
    const all = [at(null, null), at('openai', null), at(null, '*'), at(null, 'family:gpt4')]
    assert.deepEqual(matching(all, null, null), [at(null, null)])
    assert.deepEqual(matching(all, 'openai', null), [at(null, null), at('openai', null)])
  })

  test('U14 by a family matches no model that is in none', () => {
    assert.deepEqual(matching([at(null, 'family:none'), at(null, 'family:gpt4')], 'openai', 'mistral-large'), [])
  })

  test('ignores case on both sides: another spelling is no way past a limit', () => {
    const all = [at('OpenAI', null), at(null, 'GPT-4o'), at(null, 'gpt-4O*'), at(null, 'family:GPT4')]
    for (const model of ['gpt-4o', 'GPT-4O', 'Gpt-4o']) {
      assert.deepEqual(matching(all, 'openai', model), all, model)
      assert.deepEqual(matching(all, 'OPENAI', model), all, model)
    }
    assert.equal(familyOf(FAMILIES, 'GPT-4O-MINI'), 'small')
    assert.equal(familyOf(FAMILIES, 'CLAUDE-3-opus'), 'claude')
  })

  test('that comes later counts for a request seen before', () => {
    const selectors = new Selectors(FAMILIES)
    selectors.add(at('openai', null))
    assert.equal(selectors.match('openai', 'gpt-4o').has(selectorOf(at(null, 'gpt-*'))), false)
    selectors.add(at(null, 'gpt-*'))
    assert.equal(selectors.match('openai', 'gpt-4o').has(selectorOf(at(null, 'gpt-*'))), true)
  })
})

describe('the sets of selectors', () => {
  test('that are equal are the same object, so that a chain is found by it', () => {
    const selectors = new Selectors(FAMILIES)
    for (const selector of [at('openai', null), at(null, 'gpt-*'), at(null, 'family:claude')]) selectors.add(selector)
    assert.equal(selectors.match('openai', 'gpt-4o'), selectors.match('openai', 'gpt-3.5'))
    assert.notEqual(selectors.match('openai', 'gpt-4o'), selectors.match('openai', 'claude-3'))
  })

  test('F25 of three hundred thousand invented names take no more memory than thirty thousand', () => {
    const selectors = new Selectors(FAMILIES)
    for (const letter of 'abcdefghijklmnop') selectors.add(at(null, `*${letter}*`))
    const invent = (count: number) => {
      for (let made = 0; made < count; made++) selectors.match('openai', `${made.toString(28)}-${made}`)
      collectGarbage()
      return process.memoryUsage().heapUsed
    }
    const few = invent(30_000)
    const many = invent(300_000)
    assert.ok(many - few < 10e6, `${Math.round((many - few) / 1e6)} MB more`)
  })
})

test('the order within a scope: provider and exact model, exact model, provider and pattern or family, these alone, provider, none', () => {
  const inOrder = [
    [at('openai', 'gpt-4o')],
    [at(null, 'gpt-4o')],
    [at('openai', 'gpt-*'), at('openai', 'family:gpt4')],
    [at(null, 'gpt-*'), at(null, 'family:gpt4')],
    [at('openai', null)],
    [at(null, null)],
  ]
  assert.deepEqual(
    inOrder.map((same) => [...new Set(same.map(selectorRank))]),
    [[0], [1], [2], [3], [4], [5]],
  )
})

test('what a selector matches is what reading it aloud says', () => {
  const names = fc.constantFrom('gpt-4o', 'GPT-4o-mini', 'claude-3-opus', 'o1', 'mistral', 'gpt-4', '')
  const wanted = fc.record({
    provider: fc.constantFrom(null, 'openai', 'Anthropic'),
    model: fc.constantFrom(
      null,
      'gpt-4o',
      'gpt-4*',
      '*',
      '*-mini',
      'family:small',
      'family:gpt4',
      'family:claude',
      'O1',
    ),
  })
  const familyAloud = (model: string) => {
    if (/^gpt-4o-mini|^claude-.*-haiku/i.test(model)) return 'small'
    if (/^(gpt-4|o1)/i.test(model)) return 'gpt4'
    return /^claude-/i.test(model) ? 'claude' : null
  }
  const aloud = ({ provider, model }: Wanted, atProvider: string, name: string) => {
    if (provider !== null && provider.toLowerCase() !== atProvider) return false
    if (model === null) return true
    if (model.startsWith('family:')) return familyAloud(name) === model.slice(7)
    return new RegExp(`^${model.replaceAll('*', '.*')}$`, 'i').test(name)
  }
  fc.assert(
    fc.property(
      fc.array(wanted, { maxLength: 8 }),
      fc.constantFrom('openai', 'anthropic'),
      names,
      (all, provider, model) => {
        assert.deepEqual(
          matching(all, provider, model),
          all.filter((selector) => aloud(selector, provider, model)),
        )
      },
    ),
    { numRuns: 500 },
  )
})
