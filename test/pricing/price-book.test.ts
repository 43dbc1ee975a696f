import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { calcPrice, waitForUpdate } from '@pydantic/genai-prices'
import fc from 'fast-check'
import type { Price } from '../../src/pricing/price.ts'
import { type FallbackPrice, GenaiPriceBook } from '../../src/pricing/price-book.ts'
import { scheduleOf } from '../../src/pricing/price-data.ts'
import { CardPrice } from '../../src/pricing/rates.ts'
import type { PriceOverride } from '../../src/store/entities.ts'
import { nanoUsd, parseUsd } from '../../src/units/money.ts'
import { NO_USAGE, type Usage } from '../../src/usage/usage.ts'

const NOW = Date.parse('2026-06-15T12:00:00Z')

const usage = (parts: Partial<Usage>): Usage => ({ ...NO_USAGE, ...parts })

class Source {
  prices = new Map<string, PriceOverride>()
  version = 0

  put(override: Partial<PriceOverride> & Pick<PriceOverride, 'id' | 'provider' | 'model'>): void {
    this.prices.set(override.id, {
      managedBy: 'api',
      createdAt: 0,
      updatedAt: 0,
      inputPerMillion: null,
      outputPerMillion: null,
      cacheReadPerMillion: null,
      cacheWritePerMillion: null,
      perRequest: null,
      effectiveFrom: 0,
      ...override,
    })
    this.version += 1
  }
}

function bookOf(source = new Source(), fallback: FallbackPrice | null = null) {
  return new GenaiPriceBook(source, fallback)
}

function priced(price: Price | null): Price {
  assert.ok(price !== null, 'a price is known')
  return price
}

const openai = { name: 'openai', kind: 'openai' }
const anthropic = { name: 'claude-account', kind: 'anthropic' }

describe('price book', () => {
  test('a cost is exact to the nano-dollar and rounded up once', () => {
    const price = priced(bookOf().priceOf(openai, 'gpt-4o-mini', NOW))
    // 812 × $0.15 + 256 × $0.60 per million.
    assert.equal(price.cost(usage({ inputTokens: 812, outputTokens: 256 })), 275_400n)
    // 1 token at $0.075 per million is 75 nano-dollars; two parts of half a nano-dollar would be rounded together.
    assert.equal(price.cost(usage({ inputTokens: 1, cacheReadTokens: 1 })), 75n)
    assert.equal(price.cost(NO_USAGE), 0n)
  })

  test('F08 cached input costs the cache rate, cache writes their own by lifetime, reasoning is output and not counted twice', () => {
    const price = priced(bookOf().priceOf(anthropic, 'claude-sonnet-4-5', NOW))
    const million = 100_000
    assert.equal(price.cost(usage({ inputTokens: million, cacheReadTokens: million })), parseUsd('0.03'))
    assert.equal(price.cost(usage({ inputTokens: million, cacheWriteTokens: million })), parseUsd('0.375'))
    const hour = usage({ inputTokens: million, cacheWriteTokens: million, cacheWrite1hTokens: million })
    assert.equal(price.cost(hour), parseUsd('0.6'))
    const o3 = priced(bookOf().priceOf(openai, 'o3', NOW))
    assert.equal(o3.cost(usage({ outputTokens: 1_000, reasoningTokens: 900 })), o3.cost(usage({ outputTokens: 1_000 })))
  })

  test('F08 a part without a rate of its own costs what the part around it costs, never nothing', () => {
    const price = priced(bookOf().priceOf(openai, 'gpt-4o-mini', NOW))
    assert.equal(
      price.cost(usage({ inputTokens: 500, cacheWriteTokens: 500 })),
      price.cost(usage({ inputTokens: 500 })),
    )
  })

  test('parts that overlap or exceed their whole never price a token twice', () => {
    const price = priced(bookOf().priceOf({ name: 'google', kind: 'google' }, 'gemini-2.5-flash', NOW))
    const overlapping = usage({ inputTokens: 100, cacheReadTokens: 80, inputAudioTokens: 80 })
    assert.equal(
      price.cost(overlapping),
      price.cost(usage({ inputTokens: 100, cacheReadTokens: 80, inputAudioTokens: 20 })),
    )
    const moreCachedThanRead = { inputTokens: 100, cacheReadTokens: 80, cacheReadAudioTokens: 80 }
    assert.equal(
      price.cost(usage({ ...moreCachedThanRead, inputAudioTokens: 20 })),
      price.cost(usage(moreCachedThanRead)),
    )
  })

  test('the long-context tier prices the whole request once its input is longer than the step', () => {
    const price = priced(bookOf().priceOf(anthropic, 'claude-sonnet-4-5', NOW))
    assert.equal(price.cost(usage({ inputTokens: 200_000, outputTokens: 1_000 })), parseUsd('0.615'))
    assert.equal(price.cost(usage({ inputTokens: 200_001, outputTokens: 0 })), nanoUsd(200_001n * 6_000n))
    assert.equal(
      price.cost(usage({ inputTokens: 200_001, outputTokens: 1_000 })),
      nanoUsd(200_001n * 6_000n + 22_500_000n),
    )
  })

  test('a price that begins on a date, or holds at some hours, is chosen by the time asked', () => {
    const book = bookOf()
    const cost = (name: string, kind: string, model: string, at: string) =>
      priced(book.priceOf({ name, kind }, model, Date.parse(at))).cost(usage({ inputTokens: 1_000_000 }))
    assert.equal(cost('openai', 'openai', 'o3', '2025-06-09T23:59:59Z'), parseUsd('10'))
    assert.equal(cost('openai', 'openai', 'o3', '2025-06-10T00:00:00Z'), parseUsd('2'))
    assert.equal(cost('deepseek', 'openai_compatible', 'deepseek-reasoner', '2026-01-01T00:29:59Z'), parseUsd('0.135'))
    assert.equal(cost('deepseek', 'openai_compatible', 'deepseek-reasoner', '2026-01-01T00:30:00Z'), parseUsd('0.55'))
    assert.equal(cost('deepseek', 'openai_compatible', 'deepseek-reasoner', '2026-01-01T16:30:00Z'), parseUsd('0.135'))
  })

  test('every model of the list costs what the list says, to one nano-dollar', async () => {
    const parts = { inputTokens: 210_000, cacheReadTokens: 1_001, cacheWriteTokens: 503, cacheWrite1hTokens: 101 }
    const asked = usage({
      ...parts,
      outputTokens: 7_001,
      inputAudioTokens: 11,
      outputAudioTokens: 13,
      inputImageTokens: 19,
      outputImageTokens: 23,
      inputVideoTokens: 29,
      outputVideoTokens: 31,
      cacheReadAudioTokens: 5,
      cacheReadImageTokens: 7,
      reasoningTokens: 17,
      citationTokens: 37,
    })
    let compared = 0
    for (const provider of (await waitForUpdate()) ?? []) {
      for (const { id, prices } of provider.models) {
        // Not by the token: below.
        if (!Array.isArray(prices) && prices.input_audio_hours !== undefined && prices.input_mtok === undefined)
          continue
        const listed = calcPrice(
          {
            input_tokens: asked.inputTokens,
            cache_read_tokens: asked.cacheReadTokens,
            cache_write_tokens: asked.cacheWriteTokens,
            cache_write_1h_tokens: asked.cacheWrite1hTokens,
            input_audio_tokens: asked.inputAudioTokens,
            output_tokens: asked.outputTokens,
            output_audio_tokens: asked.outputAudioTokens,
            input_image_tokens: asked.inputImageTokens,
            output_image_tokens: asked.outputImageTokens,
            cache_image_read_tokens: asked.cacheReadImageTokens,
            input_video_tokens: asked.inputVideoTokens,
            output_video_tokens: asked.outputVideoTokens,
            output_reasoning_tokens: asked.reasoningTokens,
            output_citation_tokens: asked.citationTokens,
            cache_audio_read_tokens: asked.cacheReadAudioTokens,
          },
          id,
          { providerId: provider.id, timestamp: new Date(NOW) },
        )
        const schedule = scheduleOf(provider.id, id)
        const timed = schedule?.findLast(({ holds }) => holds(NOW))
        if (listed === null || timed === undefined) continue
        compared += 1
        const ours = Number(new CardPrice(timed.card).cost(asked))
        assert.ok(
          Math.abs(ours - listed.total_price * 1e9) <= 2,
          `${provider.id}/${id}: ${ours} for ${listed.total_price}`,
        )
      }
    }
    assert.ok(compared > 1_400, `${compared} models compared`)
  })

  test('an hour of sound costs what the list says, where it says it by the hour', () => {
    const hour = usage({ inputTokens: 36_000, inputAudioTokens: 36_000, outputTokens: 9_000 })
    for (const [provider, model, dollars] of [
      ['openai', 'whisper-1', '0.36'],
      ['groq', 'whisper-large-v3', '0.111'],
    ] as const) {
      const card = scheduleOf(provider, model)?.at(-1)?.card
      assert.ok(card)
      const over = new CardPrice(card).cost(hour) - (parseUsd(dollars) ?? 0n)
      // A third of a nano-dollar is rounded up.
      assert.ok(over === 0n || over === 1n, `${model}: ${over}`)
    }
  })

  test('T10 no usage within a bound costs more than the bound, whatever its parts are', () => {
    const models = [
      [openai, 'gpt-4o-mini'],
      [openai, 'gpt-4.1'],
      [anthropic, 'claude-sonnet-4-5'],
      [{ name: 'google', kind: 'google' }, 'gemini-2.5-flash'],
      [{ name: 'google', kind: 'google' }, 'gemini-2.5-flash-image'],
      [openai, 'gpt-image-1.5'],
      [{ name: 'google', kind: 'google' }, 'gemini-embedding-2'],
      [{ name: 'google', kind: 'google' }, 'gemini-omni-flash-preview'],
      [{ name: 'perplexity', kind: 'openai_compatible' }, 'sonar'],
    ] as const
    const share = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(
        fc.constantFrom(...models),
        fc.nat(400_000),
        fc.nat(100_000),
        fc.array(share, { minLength: 12, maxLength: 12 }),
        fc.subarray(['flex', 'priority', 'fast', 'us', 'auto', 'nonsense']),
        fc.nat(5),
        fc.nat(5),
        ([provider, model], input, output, shares, serviceTiers, webSearches, fileSearches) => {
          const part = (whole: number, index: number) => Math.floor(whole * (shares[index] ?? 0))
          const price = priced(bookOf().priceOf(provider, model, NOW))
          const asked = usage({
            inputTokens: input,
            outputTokens: output,
            cacheReadTokens: part(input, 0),
            cacheWriteTokens: part(input, 1),
            cacheWrite1hTokens: part(part(input, 1), 2),
            inputAudioTokens: part(input, 3),
            outputAudioTokens: part(output, 4),
            inputImageTokens: part(input, 6),
            outputImageTokens: part(output, 7),
            inputVideoTokens: part(input, 8),
            outputVideoTokens: part(output, 9),
            cacheReadAudioTokens: part(part(input, 0), 10),
            cacheReadImageTokens: part(part(input, 0), 11),
            reasoningTokens: part(output, 5),
            webSearches,
            fileSearches,
          })
          const bound = price.bound(input, output, { serviceTiers, webSearches, fileSearches })
          assert.ok(price.cost({ ...asked, serviceTiers }) <= bound, 'served as asked')
          assert.ok(price.cost(asked) <= bound, 'served as usual')
        },
      ),
    )
  })
})

describe('service tiers', () => {
  const tokens = { inputTokens: 1_000_000, outputTokens: 100_000 }
  const held = (model: string, ...serviceTiers: string[]) =>
    priced(bookOf().priceOf(openai, model, NOW)).bound(1_000_000, 100_000, { serviceTiers, webSearches: 0 })

  test('F05 a dearer tier is held at its price, a cheaper one at the standard price, which it may be served at', () => {
    // $0.25 + 100,000 × $2 per million.
    const standard = parseUsd('0.45')
    assert.equal(held('gpt-5-mini'), standard)
    assert.equal(held('gpt-5-mini', 'auto'), standard)
    assert.equal(held('gpt-5-mini', 'flex'), standard)
    assert.equal(held('gpt-5-mini', 'priority'), parseUsd('0.81'))
  })

  test('an override is the standard price, and tiers multiply it', () => {
    const source = new Source()
    source.put({ id: 'p', provider: 'openai', model: 'gpt-5-mini', inputPerMillion: nanoUsd(1_000_000_000n) })
    const price = priced(bookOf(source).priceOf(openai, 'gpt-5-mini', NOW))
    // 1.8 × ($1 + $0.20).
    assert.equal(price.cost(usage({ ...tokens, serviceTiers: ['priority'] })), parseUsd('2.16'))
  })

  test('resellers are taken to charge tiers like the model’s maker', () => {
    const openrouter = { name: 'openrouter', kind: 'openai_compatible' }
    const price = priced(bookOf().priceOf(openrouter, 'openai/gpt-5-mini', NOW))
    assert.equal(price.cost(usage({ ...tokens, serviceTiers: ['flex'] })) * 2n, price.cost(usage(tokens)))
  })
})

describe('whose prices a provider has', () => {
  const cost = (provider: { name: string; kind: string; baseUrl?: string }, model: string) =>
    bookOf()
      .priceOf(provider, model, NOW)
      ?.cost(usage({ inputTokens: 1_000_000 })) ?? null

  test('F06 an unknown model has no price, rather than a price of nothing', () => {
    assert.equal(cost(openai, 'gpt-from-nowhere'), null)
    assert.equal(cost({ name: 'local', kind: 'openai_compatible' }, 'llama-3.3-70b'), null)
    assert.equal(cost({ name: 'sim', kind: 'sim' }, 'no-such-model'), null)
  })

  test('the kind decides, then the name, then the address', () => {
    assert.equal(cost({ name: 'eu', kind: 'openai' }, 'gpt-4o'), parseUsd('2.5'))
    assert.equal(cost({ name: 'eu', kind: 'azure' }, 'gpt-4o'), parseUsd('2.5'))
    assert.notEqual(cost({ name: 'xai', kind: 'openai_compatible' }, 'grok-3'), null)
    assert.notEqual(
      cost(
        { name: 'fast', kind: 'openai_compatible', baseUrl: 'https://api.groq.com/openai/v1' },
        'llama-3.3-70b-versatile',
      ),
      null,
    )
  })

  test('a reseller of models that only their maker can run sells them at the maker’s price; open weights have none', () => {
    const corporate = { name: 'corporate', kind: 'openai_compatible', baseUrl: 'http://127.0.0.1:9' }
    assert.equal(cost(corporate, 'gpt-4o'), parseUsd('2.5'))
    assert.equal(cost(corporate, 'mistral-large-latest'), null)
    assert.equal(cost(corporate, 'gpt-oss-120b'), null)
  })

  test('the simulated provider’s own models have their own prices, the real ones their makers’', () => {
    const sim = { name: 'anything', kind: 'sim' }
    assert.equal(cost(sim, 'sim-small'), parseUsd('0.15'))
    assert.equal(cost(sim, 'gpt-4o'), parseUsd('2.5'))
    assert.equal(cost(sim, 'claude-haiku-4-5'), parseUsd('1'))
    assert.equal(cost(sim, 'text-embedding-3-small'), parseUsd('0.02'))
  })

  test('case, dates and Gemini’s models/ prefix do not hide a price', () => {
    assert.equal(cost(openai, 'GPT-4o-mini-2024-07-18'), parseUsd('0.15'))
    assert.equal(cost({ name: 'g', kind: 'google' }, 'models/gemini-2.5-flash'), parseUsd('0.3'))
  })

  test('a configured fallback prices what is unknown and nothing else', () => {
    const fallback = { inputPerMillion: 5_000_000_000n, outputPerMillion: 15_000_000_000n }
    const book = bookOf(new Source(), fallback)
    assert.equal(book.priceOf(openai, 'unknown', NOW)?.cost(usage({ inputTokens: 1_000_000 })), parseUsd('5'))
    assert.equal(book.priceOf(openai, 'gpt-4o', NOW)?.cost(usage({ inputTokens: 1_000_000 })), parseUsd('2.5'))
  })
})

describe('price overrides', () => {
  const input = (book: GenaiPriceBook, model: string, now = NOW, parts: Partial<Usage> = {}) =>
    book.priceOf(openai, model, now)?.cost(usage({ inputTokens: 1_000_000, ...parts }))

  test('an override replaces the list’s price from its moment on, and is seen at once', () => {
    const source = new Source()
    const book = bookOf(source)
    assert.equal(input(book, 'gpt-4o'), parseUsd('2.5'))
    source.put({ id: '1', provider: 'OpenAI', model: 'gpt-4o', inputPerMillion: 7n, effectiveFrom: NOW })
    assert.equal(input(book, 'gpt-4o', NOW - 1), parseUsd('2.5'))
    assert.equal(input(book, 'gpt-4o', NOW), 7n)
    source.prices.delete('1')
    source.version += 1
    assert.equal(input(book, 'gpt-4o', NOW), parseUsd('2.5'))
  })

  test('the most specific pattern wins, and of equal ones the latest that has begun', () => {
    const source = new Source()
    source.put({ id: 'all', provider: 'openai', model: '*', inputPerMillion: 1n, effectiveFrom: NOW })
    source.put({ id: 'glob', provider: 'openai', model: 'gpt-4*', inputPerMillion: 2n })
    source.put({ id: 'old', provider: 'openai', model: 'gpt-4o', inputPerMillion: 3n })
    source.put({ id: 'new', provider: 'openai', model: 'GPT-4o', inputPerMillion: 4n, effectiveFrom: NOW })
    source.put({ id: 'other', provider: 'azure', model: 'gpt-4o', inputPerMillion: 9n })
    const book = bookOf(source)
    assert.equal(input(book, 'gpt-4o', NOW), 4n)
    assert.equal(input(book, 'gpt-4o', NOW - 1), 3n)
    assert.equal(input(book, 'gpt-4.1', NOW), 2n)
    assert.equal(input(book, 'made-up', NOW), 1n)
    assert.equal(input(book, 'made-up', NOW - 1), undefined)
  })

  test('rates left out come from the list, but cache rates follow a given input rate', () => {
    const source = new Source()
    source.put({ id: '1', provider: 'openai', model: 'gpt-4o', inputPerMillion: 0n })
    source.put({ id: '2', provider: 'openai', model: 'gpt-4o-mini', outputPerMillion: 0n, perRequest: 500n })
    const book = bookOf(source)
    assert.equal(input(book, 'gpt-4o', NOW, { cacheReadTokens: 1_000_000 }), 0n)
    assert.equal(input(book, 'gpt-4o', NOW, { outputTokens: 1_000_000 }), parseUsd('10'))
    const mini = input(book, 'gpt-4o-mini', NOW, { outputTokens: 1_000_000, cacheReadTokens: 1_000_000 })
    assert.equal(mini, (parseUsd('0.075') ?? 0n) + 500n)
  })
})
