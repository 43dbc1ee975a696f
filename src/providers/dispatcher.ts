/**
 * Dispatcher: forwards admitted requests to providers and brings their answers back, attempt by attempt.
 *
 * Written on undici's `dispatch` rather than on a client that makes streams and promises: that costs half as much per request, and a
 * stream's chunks then pass from one socket to the other in one turn (DESIGN section 10).
 */
import type { Admitted } from '../admission/admission.ts'
import type { Attempt, UsageTracker } from '../usage/tracker.ts'
import type { CallParts, Exchange } from './exchange.ts'
import { ProviderCall } from './provider-call.ts'

export class Dispatcher {
  readonly #parts: CallParts
  readonly #tracker: UsageTracker

  constructor(parts: CallParts, tracker: UsageTracker) {
    this.#parts = parts
    this.#tracker = tracker
  }

  /**
   * Forwards a request; the exchange is told how it ends. From here on the attempt is ended whatever happens: by the provider's answer
   * or death, or by the client's leaving, which stops the provider's work on a stream at once.
   */
  forward(admitted: Admitted, exchange: Exchange): void {
    if (exchange.raw.destroyed) {
      // The client has left while a hook was waiting for something: nobody wants the answer, and nothing is held for it any more.
      this.#tracker.abandon(admitted)
      return
    }
    let call: ProviderCall
    const run = (attempt: Attempt) => {
      call = new ProviderCall(this.#parts, exchange, attempt, run)
      call.dispatch()
    }
    run(this.#tracker.begin(admitted))
    // Also fires after an answer that was whole; then the call is over and nothing happens.
    exchange.raw.once('close', () => call.clientGone())
  }

  /** Waits for calls whose clients have gone, at most so long, and closes all connections to providers. */
  close(withinMs: number): Promise<void> {
    return this.#parts.pools.close(withinMs)
  }
}
