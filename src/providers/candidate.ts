/**
 * A candidate: one provider, one credential and one model name that may serve a request. A route is the order in which they are tried.
 */
import type { Price } from '../pricing/price.ts'
import type { Provider, ProviderKey } from '../store/entities.ts'

export interface Candidate {
  readonly provider: Provider
  readonly providerKey: ProviderKey | null
  /** The model as the provider knows it; empty for calls that name none. */
  readonly model: string
  /** Null when no price is known. With the prices of the models that the request's tools may call. */
  readonly price: Price | null
  /** A model that a tool may call and that has no price. Absent = there is none. */
  readonly unpricedTool?: string
}

/** At least one candidate; the first is tried first. */
export type Route = readonly [Candidate, ...Candidate[]]
