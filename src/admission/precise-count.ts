/**
 * Precise count: when a request is worth counting, and what its estimate says afterwards (DESIGN section 6).
 *
 * Bytes are a bound and a learned ratio an expectation; both are too much for most texts. So before such a request is refused its tokens
 * are counted, if that can change anything: off the event loop, by the caller of this, which then asks admission once more.
 */
import type { MeterReading } from '../ledger/reading.ts'
import type { Candidate } from '../providers/candidate.ts'
import type { Admission, AdmissionRequest, Proposal } from './admission.ts'
import type { TextCount } from './estimate.ts'
import { hasRoom } from './shortfall.ts'

/** No text at all: what a count can come to at the very least. */
const NO_TEXT: TextCount = { tokens: 0, floor: 0 }

/** Whether a refused request might pass at some candidate if its texts turned out shorter than estimated. Changes nothing. */
export function isWorthCounting(
  admission: Admission,
  request: AdmissionRequest,
  read: (limitId: string, now: number) => MeterReading | null,
  now: number,
): boolean {
  // What the provider stores is a configured flat number, which no count can better.
  const { usesStoredInput, flatInputTokens, counted } = request.facts
  if (usesStoredInput || flatInputTokens !== undefined || counted !== undefined) return false
  const lightest = withCount(request, NO_TEXT)
  return request.route.some((candidate) => {
    const proposed = admission.propose(lightest, candidate)
    return proposed.ok && fits(proposed.value, read, now)
  })
}

/** The same request, estimated from its count. */
export function withCount(request: AdmissionRequest, counted: TextCount): AdmissionRequest {
  return { ...request, facts: { ...request.facts, counted } }
}

function fits(
  { chain, amounts }: Proposal,
  read: (limitId: string, now: number) => MeterReading | null,
  now: number,
): boolean {
  return chain.limits.every(({ limit, metric, enforced }) => {
    if (!enforced) return true
    const reading = read(limit.id, now)
    return reading === null || hasRoom(reading, amounts[metric] as bigint)
  })
}

/** The models of OpenAI that o200k is the tokenizer of. Older ones, embeddings among them, need up to four times as many tokens. */
const O200K_MODEL = /^(ft:)?(chatgpt-4o|gpt-4o|gpt-4\.[15]|gpt-5|o[134](-|$))/i

/** Whether the count is exact at a candidate: OpenAI's own current models, there or on Azure. */
export function isCountedExactly({ provider, model }: Pick<Candidate, 'provider' | 'model'>): boolean {
  return (provider.kind === 'openai' || provider.kind === 'azure') && O200K_MODEL.test(model)
}
