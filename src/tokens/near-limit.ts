/**
 * Near a limit: the second look at a request that its first estimate would refuse, shared by admission and explanations.
 *
 * Asynchronous, so it stands beside admission and not in it: what awaits here holds nothing, and what holds afterwards awaits nothing.
 */
import type { Admission, AdmissionRequest } from '../admission/admission.ts'
import { type Explanation, explain } from '../admission/explanation.ts'
import { isWorthCounting, withCount } from '../admission/precise-count.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Clock } from '../units/clock.ts'
import type { TokenCounter } from './counter.ts'

export interface CountingParts {
  readonly admission: Admission
  readonly ledger: Ledger
  readonly clock: Clock
  readonly counter: Pick<TokenCounter, 'count'>
  readonly settings: { readonly server: { readonly maxAttempts: number } }
}

/** A refused request with its tokens counted; null where a count would change nothing, or none could be had. */
export async function recounted(parts: CountingParts, refused: AdmissionRequest): Promise<AdmissionRequest | null> {
  const { admission, ledger, clock, counter } = parts
  if (!isWorthCounting(admission, refused, ledger.read.bind(ledger), clock.now())) return null
  const count = await counter.count(refused.facts)
  return count === null ? null : withCount(refused, count)
}

/** What would happen to a request, counted where that would be. */
export async function explainCounted(parts: CountingParts, request: AdmissionRequest): Promise<Explanation> {
  const { admission, ledger, clock, settings } = parts
  const explainNow = (asked: AdmissionRequest) =>
    explain(admission, asked, ledger.readAll.bind(ledger), clock.now(), settings.server.maxAttempts)
  const first = explainNow(request)
  const again = first.verdict === 'allow' ? null : await recounted(parts, request)
  return again === null ? first : explainNow(again)
}
