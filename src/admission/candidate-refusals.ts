/**
 * Candidate refusals: why the candidates of a route could not be taken, each told once.
 *
 * A route has a candidate for each key of a provider, and limits and prices know no keys: what was refused for one is refused for all.
 */
import type { Candidate } from '../providers/candidate.ts'
import type { Refusal } from './decision.ts'

export class CandidateRefusals {
  readonly #refusals: { readonly candidate: Candidate; readonly refusal: Refusal }[] = []

  /** Whether the provider has been refused with this model, under whichever of its keys. */
  include({ provider, model }: Candidate): boolean {
    return this.#refusals.some(({ candidate }) => candidate.provider === provider && candidate.model === model)
  }

  add(candidate: Candidate, refusal: Refusal): void {
    this.#refusals.push({ candidate, refusal })
  }

  /** The first candidate's refusal; where there were several, each candidate's reason beside it. */
  summary(): Refusal {
    const first = this.#refusals[0]
    if (first === undefined) throw new Error('a route has at least one candidate')
    if (this.#refusals.length === 1) return first.refusal
    const candidates = this.#refusals.map(({ candidate, refusal }) => ({
      provider: candidate.provider.name,
      model: candidate.model,
      code: refusal.code,
      message: refusal.message,
    }))
    const details = typeof first.refusal.details === 'object' ? first.refusal.details : {}
    return { ...first.refusal, details: { ...details, candidates } }
  }
}
