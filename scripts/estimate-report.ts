/**
 * How far what is held lies from what is billed: `node scripts/estimate-report.ts`. The same figures at each run.
 *
 * Billed is what o200k counts in the texts, 3 tokens around each message, 765 for an image (1,024 × 1,024 pixels); at the simulated
 * provider, what its own rule says (UTF-8 bytes / 4). Tools are counted as the JSON they are sent as. Answers are as long as they may be, so all of the distance is the input's.
 */
import process from 'node:process'
import { Estimator } from '../src/admission/estimator.ts'
import { readFacts, weightOf } from '../src/admission/read-facts.ts'
import type { RequestFacts } from '../src/admission/request-facts.ts'
import { CardPrice, ratesOf } from '../src/pricing/rates.ts'
import { conversationTokens } from '../src/sim/counting.ts'
import { countTexts } from '../src/tokens/count.ts'
import { textsOf } from '../src/tokens/texts.ts'
import { nanoUsd } from '../src/units/money.ts'
import { NO_USAGE } from '../src/usage/usage.ts'
import { BODIES, type Body } from './estimate-bodies.ts'

const MODEL = 'gpt-4o'
const ANSWER_TOKENS = 200
const IMAGE_TOKENS = 765
const TOKENS_PER_MESSAGE = 3
/** $2.50 and $10 a million tokens: gpt-4o's. */
const PRICE = new CardPrice({
  base: ratesOf({ input: 2_500_000_000n, output: 10_000_000_000n }),
  tiers: [],
  perRequest: nanoUsd(0n),
})

/** A body, what is held for its input in each tier, and what is billed for it. */
interface Sample {
  readonly name: string
  readonly bytes: number
  readonly billed: number
  readonly billedBySim: number
  readonly bytesBound: number
  readonly expectation: number
  readonly counted: number
  readonly countedElsewhere: number
  readonly expectedElsewhere: number
}

const estimator = new Estimator({ assumedOutputTokens: 4_096 })

function sampleOf({ name, messages, tools = [] }: Body): Sample {
  const value = { model: MODEL, messages, ...(tools.length > 0 ? { tools } : {}), max_tokens: ANSWER_TOKENS }
  const body = Buffer.from(JSON.stringify(value))
  const read = readFacts({ format: 'openai', endpoint: 'chat', pathModel: null, query: '', headers: {}, body })
  const { inlined } = weightOf(value, 'openai', 'chat')
  const count = countTexts(textsOf(value, inlined), () => false)
  if (!read.ok || count === null) throw new Error(`the body "${name}" cannot be read`)
  const facts = read.value
  const counted: RequestFacts = { ...facts, counted: count }
  return {
    name,
    bytes: body.length,
    billed: count.tokens + facts.messages * TOKENS_PER_MESSAGE + facts.attachments * IMAGE_TOKENS,
    billedBySim: conversationTokens(messages, [], tools),
    bytesBound: boundOf(facts, true),
    expectation: estimator.estimate(facts, PRICE, '', false, MODEL).inputTokens,
    counted: boundOf(counted, true),
    countedElsewhere: boundOf(counted, false),
    expectedElsewhere: estimator.estimate(counted, PRICE, '', false, MODEL).inputTokens,
  }
}

/** Input tokens that a cost limit holds: its dollars without the answer's. */
function boundOf(facts: RequestFacts, countedExactly: boolean): number {
  const { costNanoUsd } = estimator.estimate(facts, PRICE, '', countedExactly, MODEL)
  return Number(costNanoUsd - PRICE.cost({ ...NO_USAGE, outputTokens: ANSWER_TOKENS })) / 2_500
}

/** Requests of all kinds in turn, so many in flight, until 1,000 have been made: refused although what is billed would have fitted. */
function refusedForNothing(
  samples: readonly Sample[],
  max: number,
  inFlight: number,
  first: (sample: Sample) => number,
  second: ((sample: Sample) => number) | null,
): { refused: number; phantoms: number } {
  let posted = 0
  let held = 0
  /** What the requests in flight will be billed. */
  let owed = 0
  let refused = 0
  let phantoms = 0
  const open: { hold: number; billed: number }[] = []
  const settle = (): void => {
    const ended = open.shift()
    if (ended === undefined) return
    held -= ended.hold
    owed -= ended.billed
    posted += ended.billed
  }
  for (let made = 0; made < 1_000; made += 1) {
    const sample = samples[(made * 7) % samples.length] as Sample
    const room = max - posted - held
    const hold = [first(sample), second?.(sample) ?? Number.POSITIVE_INFINITY].find((asked) => asked <= room)
    if (open.length >= inFlight || hold === undefined) settle()
    if (hold === undefined) {
      refused += 1
      if (posted + owed + sample.billed <= max) phantoms += 1
    } else {
      open.push({ hold, billed: sample.billed })
      held += hold
      owed += sample.billed
    }
  }
  return { refused, phantoms }
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

const ratio = (held: number, billed: number) => (held / billed).toFixed(2)
const samples = BODIES.map(sampleOf)

const distances = table(
  [
    'body',
    'bytes',
    'billed',
    'cost: bytes',
    'cost: counted',
    'cost: elsewhere',
    'tokens: expected',
    'tokens: counted',
    'tokens: elsewhere',
    'sim: bytes',
    'sim: counted',
  ],
  samples.map((sample) => [
    sample.name,
    sample.bytes,
    sample.billed,
    ratio(sample.bytesBound, sample.billed),
    ratio(sample.counted, sample.billed),
    ratio(sample.countedElsewhere, sample.billed),
    ratio(sample.expectation, sample.billed),
    ratio(sample.counted, sample.billed),
    ratio(sample.expectedElsewhere, sample.billed),
    ratio(sample.bytesBound, sample.billedBySim),
    ratio(sample.countedElsewhere, sample.billedBySim),
  ]),
)

/** Limits in multiples of an average request. */
const BUDGETS = [2, 10, 100, 500]
const average = samples.reduce((sum, { billed }) => sum + billed, 0) / samples.length
const phantoms = table(
  [
    'limit, in average requests',
    'in flight',
    'cost: bytes alone',
    'cost: with the count',
    'tokens: expected alone',
    'tokens: with the count',
  ],
  BUDGETS.flatMap((requests) =>
    [1, 16].map((inFlight) => {
      const run = (first: (sample: Sample) => number, second: ((sample: Sample) => number) | null) => {
        const { refused, phantoms } = refusedForNothing(samples, requests * average, inFlight, first, second)
        return `${phantoms} of ${refused}`
      }
      return [
        requests,
        inFlight,
        run(({ bytesBound }) => bytesBound, null),
        run(
          ({ bytesBound }) => bytesBound,
          ({ counted }) => counted,
        ),
        run(({ expectation }) => expectation, null),
        run(
          ({ expectation }) => expectation,
          ({ counted }) => counted,
        ),
      ]
    }),
  ),
)

process.stdout.write(`Held for each token billed, input alone

${distances}

Refused of 1,000 requests only because too much was held

${phantoms}
`)
