/**
 * Settle: how an attempt ended → what it is charged. DESIGN section 8's table, as data. Pure.
 */
import type { Estimate } from '../admission/estimate.ts'
import type { RequestFacts } from '../admission/request-facts.ts'
import type { Amounts } from '../ledger/charges.ts'
import type { UsageSource } from '../ledger/facts.ts'
import { amountsOf } from '../ledger/hold.ts'
import type { Price } from '../pricing/price.ts'
import { METRICS } from '../store/entities.ts'
import { type NanoUsd, nanoUsd, ZERO_USD } from '../units/money.ts'
import { NO_USAGE, type Usage } from './usage.ts'

/** What a request asked for that is priced apart from its tokens. */
type Asked = Pick<RequestFacts, 'serviceTiers' | 'webSearches' | 'fileSearches'>

/** The ways an attempt can end. */
export type Ending =
  /** No connection, or reset before a status: the provider has done nothing. */
  | 'unreached'
  /** Never forwarded, and not for the provider's sake: its client has gone, or we have given it up. */
  | 'withdrawn'
  /** A status of 4xx or 5xx (or a redirect, which is not followed). */
  | 'refused'
  /** No status within the time allowed. */
  | 'silent'
  /** The client of a stream has gone before a status. */
  | 'abandoned'
  /** The call was given up after it was forwarded, and what it came to will never be known. */
  | 'cancelled'
  /** 2xx, then the client or the provider has gone. */
  | 'cut'
  /** 2xx, served whole. */
  | 'complete'

export interface Outcome {
  readonly ending: Ending
  /** The provider's status; null when there was none. */
  readonly status: number | null
  /** What the provider has reported, null for nothing. */
  readonly usage: Usage | null
  /** The report is the model's last word. A stream's reports before that leave out what came after them. */
  readonly final: boolean
  /** Tokens of text seen that no report counts; null where the answer could not be read. */
  readonly textTokens: number | null
  /** Ids of what the provider has kept for the key. */
  readonly stored: readonly string[]
  /** For the log, where it did not end well: an error's code, or who has left. Null where the ending and the status say it. */
  readonly cause: string | null
}

export function outcome(ending: Ending, status: number | null, rest: Partial<Outcome> = {}): Outcome {
  return { ending, status, usage: null, final: true, textTokens: 0, stored: [], cause: null, ...rest }
}

interface Row {
  /** Charged where nothing is reported; `text` is the input estimate and the text seen, `hold` all that was held. */
  readonly unreported: 'nothing' | 'input' | 'text' | 'hold'
  /** Whether a report is believed at all, and what it is called when it is not the last word. */
  readonly reports: boolean
  readonly source: UsageSource
  readonly requests: 0 | 1
}

const TABLE: Readonly<Record<Ending, Row>> = {
  unreached: { unreported: 'nothing', reports: false, source: 'estimated', requests: 0 },
  withdrawn: { unreported: 'nothing', reports: false, source: 'estimated', requests: 0 },
  refused: { unreported: 'nothing', reports: true, source: 'estimated', requests: 0 },
  silent: { unreported: 'input', reports: false, source: 'estimated', requests: 0 },
  abandoned: { unreported: 'input', reports: false, source: 'estimated', requests: 1 },
  cancelled: { unreported: 'hold', reports: false, source: 'estimated', requests: 1 },
  cut: { unreported: 'text', reports: true, source: 'partial', requests: 1 },
  complete: { unreported: 'text', reports: true, source: 'estimated', requests: 1 },
}

/** What an attempt comes to. */
export interface Resolution {
  readonly amounts: Amounts
  readonly usage: Usage
  readonly cost: NanoUsd
  /** Null when nothing is charged: the hold is voided. */
  readonly source: UsageSource | null
  readonly requests: 0 | 1
  readonly success: boolean
}

/**
 * @param price null where none is known: then only tokens count
 * @param asked what the request asked for: it was served so and has searched as often, where the provider does not say
 */
export function resolutionOf(end: Outcome, estimate: Estimate, price: Price | null, asked: Asked = {}): Resolution {
  const askedTiers = asked.serviceTiers ?? []
  const costOf = (usage: Usage): NanoUsd => {
    if (price === null) return ZERO_USD
    let cost: bigint = ZERO_USD
    for (const part of [usage, ...usage.compactions]) {
      cost += price.cost(part.serviceTiers.length === 0 ? { ...part, serviceTiers: askedTiers } : part)
    }
    return nanoUsd(cost)
  }
  const row = TABLE[end.ending]
  const success = end.ending === 'complete'
  const unseen = end.textTokens ?? estimate.outputTokens
  if (row.reports && end.usage !== null) {
    const usage = end.final ? end.usage : withUnreported(end.usage, unseen, asked)
    const source = end.final ? 'reported' : row.source
    return resolved(usage, costOf(usage), source, row.requests, success)
  }
  const input: Usage = { ...NO_USAGE, inputTokens: estimate.inputTokens }
  switch (row.unreported) {
    case 'nothing':
      return resolved(NO_USAGE, ZERO_USD, null, row.requests, success)
    case 'input':
      return resolved(input, estimate.inputCostNanoUsd, row.source, row.requests, success)
    case 'hold': {
      const held = withUnreported(input, estimate.outputTokens, asked)
      return resolved(held, estimate.costNanoUsd, row.source, row.requests, success)
    }
    case 'text': {
      const seen = withUnreported(input, unseen, asked)
      return resolved(seen, costOf(seen), row.source, row.requests, success)
    }
  }
}

/** What an attempt comes to that another follows: a request counts once, with the last of its attempts. */
export function uncounted(resolution: Resolution): Resolution {
  if (resolution.requests === 0) return resolution
  return { ...resolution, requests: 0, amounts: resolution.amounts.with(METRICS.indexOf('requests'), 0n) }
}

/** With text that nothing reports, and whatever tools have done by then: all that was held for them. */
function withUnreported(usage: Usage, moreTokens: number, { webSearches = 0, fileSearches = 0 }: Asked): Usage {
  return {
    ...usage,
    outputTokens: usage.outputTokens + moreTokens,
    webSearches: Math.max(usage.webSearches, webSearches),
    fileSearches: Math.max(usage.fileSearches, fileSearches),
    toolUse: null,
  }
}

/** Whose counts a report names apart: all of them have been read and written. */
const COUNTS = [
  'inputTokens',
  'outputTokens',
  'cacheReadTokens',
  'cacheWriteTokens',
  'cacheWrite1hTokens',
  'reasoningTokens',
] as const satisfies readonly (keyof Usage)[]

function withCompactions(usage: Usage): Usage {
  if (usage.compactions.length === 0) return usage
  const sum: { -readonly [K in keyof Usage]: Usage[K] } = { ...usage, compactions: [] }
  for (const compaction of usage.compactions) for (const count of COUNTS) sum[count] += compaction[count]
  return sum
}

function resolved(
  reported: Usage,
  cost: NanoUsd,
  source: UsageSource | null,
  requests: 0 | 1,
  success: boolean,
): Resolution {
  const usage = withCompactions(reported)
  const input = BigInt(usage.inputTokens)
  const output = BigInt(usage.outputTokens)
  const amounts = amountsOf({
    requests: BigInt(requests),
    tokens: input + output,
    input_tokens: input,
    output_tokens: output,
    cost,
  })
  return { amounts, usage, cost, source, requests, success }
}
