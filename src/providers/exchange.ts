/**
 * Exchange: the client's side of a call, as the core sees it; a plugin makes it of its framework's request and reply. And what every
 * call to a provider is made with.
 */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Admitted } from '../admission/admission.ts'
import type { Refusal } from '../admission/decision.ts'
import type { FactSink } from '../ledger/facts.ts'
import type { Clock } from '../units/clock.ts'
import type { Log } from '../units/log.ts'
import type { NanoUsd } from '../units/money.ts'
import type { CallOptions } from './call-options.ts'
import type { AnswerHeaders } from './headers.ts'
import type { Pools } from './pools.ts'
import type { RestingKeys } from './resting-keys.ts'
import type { Upgraded } from './tunnel.ts'

export interface Exchange {
  /** The client's request headers. */
  readonly headers: IncomingHttpHeaders
  /** The client's end of the connection. */
  readonly raw: ServerResponse
  /** Set where the client wants to leave HTTP. */
  readonly upgraded: Upgraded | null
  /** Tells the client that it has left HTTP; `headers` are the provider's. */
  switchProtocols(admitted: Admitted, headers: AnswerHeaders): void
  /** Sends a whole answer of the provider; `cost` is its request's, null where that is not known. */
  answer(admitted: Admitted, status: number, headers: AnswerHeaders, body: Buffer, cost: NanoUsd | null): void
  /** Begins a stream: writes the head and leaves the rest of the connection to the caller. */
  begin(admitted: Admitted, status: number, headers: AnswerHeaders): ServerResponse
  /** Answers with an error of our own; `cost` is what the request came to all the same, null where nothing is known of it. */
  refuse(refusal: Refusal, cost: NanoUsd | null): void
  /** The next attempt has taken over the request. */
  moved(admitted: Admitted): void
}

/** Answers with an error of ours where no answer has begun; breaks one that has off, so that nobody takes it for whole. Throws nothing. */
export function breakOff(exchange: Exchange, refusal: Refusal, cost: NanoUsd | null): void {
  try {
    if (exchange.raw.headersSent) exchange.raw.destroy()
    else exchange.refuse(refusal, cost)
  } catch {
    exchange.raw.destroy()
  }
}

export interface CallParts {
  readonly pools: Pools
  readonly facts: FactSink
  readonly clock: Clock
  readonly log: Log
  /** Tokens expected in so many bytes of a model's text. */
  readonly tokensOfText: (admitted: Admitted, bytes: number) => number
  readonly options: CallOptions
  readonly resting: Pick<RestingKeys, 'answered'>
}
