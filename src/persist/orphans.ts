/**
 * Orphans: holds whose request died with its process. What they are charged is a policy, since nobody knows any more what was used.
 */
import { type ChargeLine, linesOf } from '../ledger/charges.ts'
import type { EventFact, HoldFact } from '../ledger/facts.ts'

/** `input`: the input estimate, since the provider has most likely read it; `hold`: all that was held; `void`: nothing. */
export type OrphanPolicy = 'input' | 'hold' | 'void'

/** The fact that resolves an orphaned hold. `now` in ms. */
export function resolveOrphan(hold: HoldFact, policy: OrphanPolicy, now: number): EventFact {
  const isVoid = policy === 'void'
  const isWhole = policy === 'hold'
  return {
    t: isVoid ? 'void' : 'settle',
    event: {
      ...hold.identity,
      endedAt: now,
      status: null,
      success: false,
      refusedCode: null,
      inputTokens: isVoid ? 0 : hold.inputTokens,
      outputTokens: isWhole ? hold.outputTokens : 0,
      cacheReadTokens: 0,
      cacheWriteTokens: 0,
      reasoningTokens: 0,
      costNanoUsd: isVoid ? '0' : isWhole ? hold.costNanoUsd : hold.inputCostNanoUsd,
      overageNanoUsd: '0',
      usageSource: isVoid ? null : 'orphaned',
      requests: isVoid ? 0 : 1,
      latencyMs: 0,
      ttftMs: null,
      charges: isVoid ? [] : linesOf(hold.charges).map((line) => (isWhole ? whole(line) : input(line, hold))),
    },
  }
}

/** What is in flight is over: concurrency is never posted. */
function whole(line: ChargeLine): ChargeLine {
  return line[3] === 'concurrency' ? posted(line, '0') : line
}

function input(line: ChargeLine, { inputTokens, inputCostNanoUsd }: HoldFact): ChargeLine {
  switch (line[3]) {
    case 'requests':
      return line
    case 'tokens':
    case 'input_tokens':
      return posted(line, inputTokens.toString())
    case 'cost':
      return posted(line, inputCostNanoUsd)
    case 'output_tokens':
    case 'concurrency':
      return posted(line, '0')
  }
}

function posted([limitId, countNumber, windowStart, metric]: ChargeLine, amount: string): ChargeLine {
  return [limitId, countNumber, windowStart, metric, amount]
}
