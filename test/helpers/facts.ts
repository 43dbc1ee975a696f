/** Journal facts for tests: complete, with the fields a test cares about on top. */
import type { ChargeLine } from '../../src/ledger/charges.ts'
import type { AttemptIdentity, CorrectFact, EventFact, HoldFact, UsageEvent } from '../../src/ledger/facts.ts'
import { newId } from '../../src/units/id.ts'

function identity(fields: Partial<AttemptIdentity> = {}): AttemptIdentity {
  return {
    requestId: newId(),
    attempt: 1,
    virtualKeyId: null,
    userId: null,
    teamId: null,
    customerId: null,
    provider: 'openai',
    providerKeyId: null,
    model: 'gpt-4o-mini',
    endpoint: 'chat',
    stream: false,
    tags: [],
    ...fields,
  }
}

/** An attempt that used 10 input and 5 output tokens and cost 1,000 nano-dollars. */
export function settled(fields: Partial<UsageEvent> = {}): EventFact {
  return {
    t: 'settle',
    event: {
      ...identity(),
      endedAt: Date.now(),
      status: 200,
      success: true,
      refusedCode: null,
      inputTokens: 10,
      outputTokens: 5,
      cacheReadTokens: 0,
      cacheWriteTokens: 0,
      reasoningTokens: 0,
      costNanoUsd: '1000',
      overageNanoUsd: '0',
      usageSource: 'reported',
      requests: 1,
      latencyMs: 12.5,
      ttftMs: null,
      charges: [],
      ...fields,
    },
  }
}

/** A hold of 20 input tokens (300 nano-dollars) and 40 output tokens (1,000 nano-dollars in all). */
export function held(fields: Partial<AttemptIdentity> = {}, charges: readonly ChargeLine[] = []): HoldFact {
  return {
    t: 'hold',
    identity: identity(fields),
    at: Date.now(),
    charges,
    inputTokens: 20,
    inputCostNanoUsd: '300',
    outputTokens: 40,
    costNanoUsd: '1000',
  }
}

export function corrected(fields: Partial<CorrectFact> = {}): CorrectFact {
  return { t: 'correct', id: newId(), at: Date.now(), reason: 'reset', requestId: null, charges: [], ...fields }
}
