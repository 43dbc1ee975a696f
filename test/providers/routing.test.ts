import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ApiFormat, Endpoint } from '../../src/admission/request-facts.ts'
import { ANONYMOUS, type Principal } from '../../src/auth/principal.ts'
import { GenaiPriceBook } from '../../src/pricing/price-book.ts'
import { listModels, namedModels } from '../../src/providers/catalogue.ts'
import { route } from '../../src/providers/routing.ts'
import { drawByWeight } from '../../src/providers/weights.ts'
import { randomFrom } from '../../src/sim/random.ts'
import type { AccessRule, PriceOverride, Provider, ProviderKey } from '../../src/store/entities.ts'
import { aProvider, aVirtualKey } from '../helpers/entities.ts'

const NOW = Date.parse('2026-06-15T12:00:00Z')

function key(name: string, weight = 1): ProviderKey {
  return { id: `id-${name}`, name, value: `secret-${name}`, keyStart: 'secr', weight }
}

const openai = aProvider({ name: 'openai', kind: 'openai', keys: [key('main')] })
const azure = aProvider({ name: 'azure', kind: 'azure', baseUrl: 'https://acme.openai.azure.com' })
const anthropic = aProvider({ name: 'anthropic', kind: 'anthropic' })
const google = aProvider({ name: 'google', kind: 'google' })
const local = aProvider({ name: 'local', kind: 'openai_compatible', baseUrl: 'http://127.0.0.1:9/v1' })
const sim = aProvider({ name: 'sim', kind: 'sim' })

function rule(provider: string, fields: Partial<AccessRule> = {}): AccessRule {
  return { provider, models: null, blockedModels: [], keyIds: null, weight: 1, ...fields }
}

function who(access: readonly AccessRule[] | null): Principal {
  return { ...ANONYMOUS, key: aVirtualKey({ access }) }
}

interface World {
  readonly providers: readonly Provider[]
  readonly access?: readonly AccessRule[] | null
  readonly prices?: readonly PriceOverride[]
  readonly aliases?: Readonly<Record<string, string>>
  readonly random?: () => number
}

function storeOf({ providers, prices = [] }: World) {
  return {
    providers: new Map(providers.map((provider) => [provider.id, provider])),
    prices: new Map(prices.map((price) => [price.id, price])),
    version: 1,
    providerByName: (name: string) =>
      providers.find((provider) => provider.name.toLowerCase() === name.toLowerCase()) ?? null,
  }
}

function routed(world: World, requestedModel: string, format: ApiFormat = 'openai', endpoint: Endpoint = 'chat') {
  const store = storeOf(world)
  return route(who(world.access ?? null), { format, endpoint, requestedModel }, store, {
    aliases: new Map(Object.entries(world.aliases ?? {})),
    random: world.random ?? (() => 0),
    prices: new GenaiPriceBook(store, null),
    resting: { last: (candidates) => candidates },
    now: NOW,
  })
}

/** `provider/model` of each candidate, or the code of the refusal. */
function candidates(...args: Parameters<typeof routed>): string[] | string {
  const result = routed(...args)
  if (!result.ok) return result.refusal.code
  return result.value.map(({ provider, model }) => `${provider.name}/${model}`)
}

describe('models that tools call', () => {
  const IMAGE = { model: 'gpt-image-2', uses: 2, outputTokens: 500, besideTokens: 5_000 }
  const routedWith = (access: readonly AccessRule[] | null, model: string, ...tools: string[]) => {
    const store = storeOf({ providers: [openai, azure] })
    const toolModels = tools.map((tool) => ({ ...IMAGE, model: tool }))
    return route(who(access), { format: 'openai', endpoint: 'responses', requestedModel: model, toolModels }, store, {
      aliases: new Map(),
      random: () => 0,
      prices: new GenaiPriceBook(store, null),
      resting: { last: (candidates) => candidates },
      now: NOW,
    })
  }

  test('F20 only those that the key may use there, like the model that is asked', () => {
    const only = (provider: string, ...models: string[]) => rule(provider, { models })
    const result = routedWith([only('openai', 'gpt-5')], 'openai/gpt-5', 'gpt-image-2')
    assert.deepEqual([result.ok, !result.ok && result.refusal.code], [false, 'model_not_allowed'])
    assert.ok(routedWith([only('openai', 'gpt-5', 'gpt-image-*')], 'openai/gpt-5', 'gpt-image-2').ok)
    // Of two providers the one that may.
    const both = routedWith([only('openai', 'gpt-5'), only('azure', 'gpt-5', 'gpt-image-2')], 'gpt-5', 'gpt-image-2')
    assert.deepEqual(both.ok && both.value.map(({ provider }) => provider.name), ['azure'])
  })

  test('T03 F05 their price is held and charged with that of the model, and one without a price is named', () => {
    const plain = routedWith(null, 'openai/gpt-5')
    const priced = routedWith(null, 'openai/gpt-5', 'gpt-image-2')
    assert.ok(plain.ok && priced.ok)
    const [one, other] = [plain.value[0].price, priced.value[0].price]
    // 2 × ((100 + 5,000) × 8,000, as all of it may be images, + 500 × 30,000)
    assert.equal((other?.bound(100, 10) ?? 0n) - (one?.bound(100, 10) ?? 0n), 111_600_000n)
    const unpriced = routedWith(null, 'openai/gpt-5', 'gpt-image-2', 'nobody-knows-it')
    assert.equal(unpriced.ok && unpriced.value[0].unpricedTool, 'nobody-knows-it')
  })
})

describe('an explicit provider', () => {
  test('B117 provider/model is never served by another provider, whatever the weights say', () => {
    const access = [rule('openai', { weight: 1 }), rule('azure', { weight: 1_000_000 })]
    for (let seed = 0; seed < 50; seed += 1) {
      const world = { providers: [openai, azure], access, random: randomFrom(seed) }
      assert.deepEqual(candidates(world, 'openai/gpt-4o'), ['openai/gpt-4o'])
    }
  })

  test('B118 an unknown prefix is part of the model’s name', () => {
    assert.deepEqual(candidates({ providers: [openai, local] }, 'meta-llama/llama-3'), ['local/meta-llama/llama-3'])
    assert.deepEqual(candidates({ providers: [openai, local] }, 'LOCAL/meta-llama/llama-3'), [
      'local/meta-llama/llama-3',
    ])
  })

  test('a model that no list knows reaches the provider that was named for it', () => {
    const result = routed({ providers: [openai] }, 'openai/gpt-99')
    assert.ok(result.ok)
    assert.equal(result.value[0].price, null)
  })

  test('a name that would lead elsewhere in a path is nobody’s model', () => {
    for (const model of ['azure/..', 'azure/a/../b', '..', './x', 'x/.']) {
      assert.equal(candidates({ providers: [azure, local] }, model), 'model_not_found', model)
    }
    assert.deepEqual(candidates({ providers: [azure] }, 'azure/gpt-4.1..x'), ['azure/gpt-4.1..x'])
  })

  test('an alias is another name for provider/model', () => {
    assert.deepEqual(candidates({ providers: [openai], aliases: { fast: 'openai/gpt-4o-mini' } }, 'fast'), [
      'openai/gpt-4o-mini',
    ])
  })
})

describe('a bare model', () => {
  const everyone = [sim, local, azure, openai, anthropic, google]

  test('goes to the provider that makes it', () => {
    assert.deepEqual(candidates({ providers: everyone }, 'gpt-4o'), ['openai/gpt-4o'])
    assert.deepEqual(candidates({ providers: everyone }, 'text-embedding-3-small', 'openai', 'embeddings'), [
      'openai/text-embedding-3-small',
    ])
    assert.deepEqual(candidates({ providers: everyone }, 'claude-sonnet-4-5', 'anthropic', 'messages'), [
      'anthropic/claude-sonnet-4-5',
    ])
    assert.deepEqual(candidates({ providers: everyone }, 'gemini-2.5-flash', 'google', 'generate_content'), [
      'google/gemini-2.5-flash',
    ])
    assert.deepEqual(candidates({ providers: everyone }, 'sim-small'), ['sim/sim-small'])
  })

  test('else to one that is known to have it, else to one of which nobody knows', () => {
    assert.deepEqual(candidates({ providers: [local, azure] }, 'gpt-4o'), ['azure/gpt-4o'])
    assert.deepEqual(candidates({ providers: [local, sim] }, 'gpt-4o'), ['sim/gpt-4o'])
    assert.deepEqual(candidates({ providers: [local, anthropic] }, 'gpt-4o'), ['local/gpt-4o'])
    assert.deepEqual(candidates({ providers: [sim, local] }, 'whatever'), ['local/whatever'])
  })

  test('an admin’s price for a model says that the provider has it', () => {
    const price: PriceOverride = {
      ...aVirtualKey(),
      provider: 'Sim',
      model: 'house-*',
      inputPerMillion: 1n,
      outputPerMillion: 1n,
      cacheReadPerMillion: null,
      cacheWritePerMillion: null,
      perRequest: null,
      effectiveFrom: 0,
    }
    assert.deepEqual(candidates({ providers: [sim], prices: [price] }, 'house-blend'), ['sim/house-blend'])
    assert.equal(candidates({ providers: [sim], prices: [{ ...price, model: '*' }] }, 'house-blend'), 'model_not_found')
  })

  test('of several equals the others are fallbacks', () => {
    const second = aProvider({ name: 'openai-eu', kind: 'openai' })
    assert.deepEqual(candidates({ providers: [openai, second] }, 'gpt-4o'), ['openai/gpt-4o', 'openai-eu/gpt-4o'])
  })

  test('only providers that speak the caller’s format are candidates: nothing is translated', () => {
    assert.equal(candidates({ providers: [openai] }, 'gpt-4o', 'anthropic', 'messages'), 'model_not_found')
    assert.equal(candidates({ providers: [openai] }, 'openai/gpt-4o', 'google', 'generate_content'), 'model_not_found')
    assert.deepEqual(candidates({ providers: [sim] }, 'gpt-4o', 'anthropic', 'messages'), ['sim/gpt-4o'])
  })

  test('a disabled provider is no candidate', () => {
    const off = { ...openai, enabled: false }
    assert.equal(candidates({ providers: [off] }, 'gpt-4o'), 'model_not_found')
    assert.equal(candidates({ providers: [off] }, 'openai/gpt-4o'), 'model_not_found')
  })
})

describe('weights', () => {
  const providers = [openai, azure, anthropic]

  test('B119 a provider without a weight, or with none above zero, is never drawn', () => {
    const access = [rule('openai', { weight: null }), rule('azure', { weight: 1 })]
    for (let seed = 0; seed < 50; seed += 1) {
      const world = { providers, access, random: randomFrom(seed) }
      assert.deepEqual(candidates(world, 'gpt-4o'), ['azure/gpt-4o'])
    }
    assert.deepEqual(candidates({ providers, access: [rule('azure', { weight: -1 }), rule('openai')] }, 'gpt-4o'), [
      'openai/gpt-4o',
    ])
  })

  test('where no candidate has a weight the owner is taken', () => {
    const access = [rule('azure', { weight: null }), rule('openai', { weight: null })]
    assert.deepEqual(candidates({ providers, access }, 'gpt-4o'), ['openai/gpt-4o'])
  })

  test('weights share the traffic, and the others follow as fallbacks', () => {
    const access = [rule('openai', { weight: 3 }), rule('azure', { weight: 1 })]
    const random = randomFrom(7)
    let first = 0
    for (let n = 0; n < 4_000; n += 1) {
      const order = candidates({ providers, access, random }, 'gpt-4o')
      assert.equal(order.length, 2)
      if (order[0] === 'openai/gpt-4o') first += 1
    }
    assert.ok(Math.abs(first / 4_000 - 0.75) < 0.03, `${first} of 4000`)
  })

  test('drawing by weight leaves nothing out, repeats nothing, and takes no share of zero', () => {
    const random = randomFrom(1)
    for (let n = 0; n < 200; n += 1) {
      assert.deepEqual(drawByWeight([0, 3, 0, 1, 2], (item) => item, random).sort(), [1, 2, 3])
    }
    assert.deepEqual(
      drawByWeight(
        [1, 2],
        (item) => item,
        () => 0.999999999,
      ),
      [2, 1],
    )
  })
})

describe('access', () => {
  test('the order of refusals: provider, then model, then nobody has it', () => {
    const providers = [openai, anthropic]
    assert.equal(candidates({ providers, access: [] }, 'gpt-4o'), 'provider_not_allowed')
    assert.equal(candidates({ providers, access: [rule('anthropic')] }, 'gpt-4o'), 'provider_not_allowed')
    assert.equal(candidates({ providers, access: [rule('anthropic')] }, 'openai/gpt-4o'), 'provider_not_allowed')
    const only = [rule('openai', { models: ['gpt-4o-mini'] })]
    assert.equal(candidates({ providers, access: only }, 'gpt-4o'), 'model_not_allowed')
    assert.equal(candidates({ providers, access: only }, 'openai/gpt-4o'), 'model_not_allowed')
    assert.equal(candidates({ providers, access: only }, 'nothing-like-it'), 'model_not_allowed')
    assert.equal(candidates({ providers, access: [rule('openai')] }, 'nothing-like-it'), 'model_not_found')
    assert.equal(candidates({ providers }, 'nothing-like-it'), 'model_not_found')
  })

  test('F20 no fallback reaches a provider or model that the key may not use', () => {
    const second = aProvider({ name: 'openai-eu', kind: 'openai' })
    const providers = [openai, second, azure]
    const access = [rule('openai'), rule('azure', { blockedModels: ['GPT-4o'] })]
    assert.deepEqual(candidates({ providers, access }, 'gpt-4o'), ['openai/gpt-4o'])
  })

  test('a model that an admin has put on the key’s list is taken to be there', () => {
    const access = [rule('openai', { models: ['house-finetune'] })]
    assert.deepEqual(candidates({ providers: [openai], access }, 'house-finetune'), ['openai/house-finetune'])
  })
})

describe('provider keys', () => {
  const many = aProvider({ name: 'openai', kind: 'openai', keys: [key('a', 1), key('b', 3), key('c', 0)] })
  const keysOf = (access: readonly AccessRule[] | null, random = () => 0) => {
    const result = routed({ providers: [many], access, random }, 'gpt-4o')
    return result.ok ? result.value.map(({ providerKey }) => providerKey?.name ?? null) : result.refusal.code
  }

  test('B125 null and "*" are all keys, a list only those, an empty list none', () => {
    assert.deepEqual(keysOf(null), ['a', 'b'])
    assert.deepEqual(keysOf([rule('openai', { keyIds: ['*'] })]), ['a', 'b'])
    assert.deepEqual(keysOf([rule('openai', { keyIds: ['id-b'] })]), ['b'])
    assert.deepEqual(keysOf([rule('openai', { keyIds: [] })]), 'provider_not_allowed')
  })

  test('a key of weight zero is used only where there is no other', () => {
    assert.deepEqual(keysOf([rule('openai', { keyIds: ['id-c'] })]), ['c'])
  })

  test('keys share the traffic by weight; the other keys are tried next', () => {
    const random = randomFrom(3)
    let first = 0
    for (let n = 0; n < 2_000; n += 1) if (keysOf(null, random)[0] === 'b') first += 1
    assert.ok(Math.abs(first / 2_000 - 0.75) < 0.04, `${first} of 2000`)
  })

  test('a provider that wants no key is a candidate without one', () => {
    const result = routed({ providers: [local] }, 'llama')
    assert.ok(result.ok)
    assert.equal(result.value[0].providerKey, null)
  })
})

describe('the list of models', () => {
  test('shows what the key may use, at enabled providers, with the context where it is known', () => {
    const providers = [openai, sim, { ...anthropic, enabled: false }]
    const all = listModels(storeOf({ providers }), who(null))
    assert.ok(all.some(({ provider, model }) => provider === 'openai' && model === 'gpt-4o'))
    assert.ok(all.some(({ model, contextLength }) => model === 'gpt-4o' && contextLength === 128_000))
    assert.ok(all.some(({ provider, model }) => provider === 'sim' && model === 'sim-small'))
    assert.ok(!all.some(({ provider }) => provider === 'anthropic'))
    assert.deepEqual(listModels(storeOf({ providers }), who([])), [])
    const some = listModels(storeOf({ providers }), who([rule('sim', { models: ['GPT-4o*', 'house'] })]))
    assert.deepEqual(
      some.map(({ provider, model }) => `${provider}/${model}`),
      ['sim/gpt-4o', 'sim/gpt-4o-mini', 'sim/gpt-4o-mini-transcribe', 'sim/gpt-4o-mini-tts', 'sim/house'],
    )
  })

  test('F25 named are the models of the price data and of admins, not what a client may ask a lenient provider for', () => {
    const store = { ...storeOf({ providers: [openai, local] }), version: 1 }
    const isNamed = namedModels(store)
    const names: [string, string][] = [
      ['openai', 'gpt-4o'],
      ['openai', 'gpt-4o-invented'],
      ['local', 'llama'],
      ['gone', 'gpt-4o'],
    ]
    const named = () => names.map(([provider, model]) => isNamed(provider, model))
    assert.deepEqual(named(), [true, false, false, false])
    store.providers.set(local.id, { ...local, deployments: { llama: 'llama-3' } })
    store.providerByName = (name) => [...store.providers.values()].find((provider) => provider.name === name) ?? null
    store.version = 2
    assert.deepEqual(named(), [true, false, true, false])
  })

  test('an Azure provider lists what is deployed there', () => {
    const deployed = { ...azure, deployments: { 'gpt-4o': 'prod' } }
    const listed = listModels(storeOf({ providers: [deployed] }), who(null))
    assert.deepEqual(
      listed.map(({ model }) => model),
      ['gpt-4o'],
    )
  })
})

test('what has changed in the store counts with the next request, and what another store says never does', () => {
  const [first, second] = [aProvider({ name: 'openai', kind: 'openai' }), aProvider({ name: 'other', kind: 'openai' })]
  const changing = { ...storeOf({ providers: [first] }), version: 1 }
  const names = (store: ReturnType<typeof storeOf>) => {
    const found = route(who(null), { format: 'openai', endpoint: 'chat', requestedModel: 'gpt-4o' }, store, {
      aliases: new Map(),
      random: () => 0,
      prices: new GenaiPriceBook(store, null),
      resting: { last: (candidates) => candidates },
      now: NOW,
    })
    return found.ok ? found.value.map((candidate) => candidate.provider.name) : found.refusal.code
  }
  assert.deepEqual(names(changing), ['openai'])
  changing.providers.set(second.id, second)
  changing.version += 1
  assert.deepEqual(names(changing), ['openai', 'other'])
  assert.deepEqual(names(storeOf({ providers: [second] })), ['other'])
  changing.providers.clear()
  changing.version += 1
  assert.equal(names(changing), 'model_not_found')
})
