/**
 * Stream relay: a provider's stream, straight to the client's connection and no faster than the client reads it.
 *
 * The attempt ends at the first of: the last event, the provider's end or death, the client's leaving. The last event leaves only
 * when that is in the journal. A stream that was cut off never ends cleanly, because clients take one that does for complete: it says
 * so in the client's format, and then the connection is destroyed.
 */
import type { ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Refusal } from '../admission/decision.ts'
import type { UsageEvent } from '../ledger/facts.ts'
import { formatUsd, ZERO_USD } from '../units/money.ts'
import { dataOf } from '../usage/event-data.ts'
import { outcome } from '../usage/settle.ts'
import { storedInEvent } from '../usage/stored-objects.ts'
import type { StreamTap } from '../usage/stream-tap.ts'
import type { Attempt } from '../usage/tracker.ts'
import { ChunkedBody } from './chunked-body.ts'
import type { CallParts } from './exchange.ts'
import { failureEvent } from './failure.ts'

export interface RelayedCall {
  readonly parts: CallParts
  readonly attempt: Attempt
  readonly controller: Dispatcher.DispatchController
  readonly status: number
  /** The stream ends when the connection does, so its end proves nothing. */
  readonly endsWithConnection: boolean
}

const CLIENT_GONE = new Error('the client has gone')

export class StreamRelay {
  readonly #call: RelayedCall
  readonly #raw: ServerResponse
  readonly #body: ChunkedBody
  /** Null where the stream cannot be read (compressed against our wish). */
  readonly #tap: StreamTap | null
  #stalled: NodeJS.Timeout | undefined
  #begun = false
  /** The last event is on its way into the journal. */
  #settling = false
  #released = false
  #providerDone = false
  #over = false

  constructor(call: RelayedCall, raw: ServerResponse, tap: StreamTap | null) {
    this.#call = call
    this.#raw = raw
    this.#body = new ChunkedBody(raw)
    this.#tap = tap
    // A client that is told of its answer only with the first token may give up before.
    setImmediate(() => {
      if (!this.#begun && !this.#over) raw.flushHeaders()
    })
  }

  /** Takes bytes of the provider. */
  write(chunk: Buffer): void {
    if (this.#over) return
    const out = this.#tap === null ? chunk : this.#tap.push(chunk)
    if (out.length > 0) this.#send(out)
    if (this.#tap?.ended === true && !this.#settling) this.#settle()
  }

  /** The provider has ended its answer. */
  end(): void {
    if (this.#over) return
    this.#providerDone = true
    if (this.#released) this.#finish()
    else if (!this.#settling) this.#endUnreleased()
  }

  #endUnreleased(): void {
    this.#tap?.end()
    const reading = this.#tap?.reading
    const cutOff = reading === undefined ? this.#call.endsWithConnection : !reading.whole && !reading.failed
    const message = 'The provider’s stream stopped before its end.'
    if (cutOff) this.#cut({ code: 'upstream_unreachable', message }, 'ended_early')
    else this.#settle()
  }

  /** The connection to the provider has broken. */
  died(refusal: Refusal, cause: string): void {
    if (this.#over) return
    this.#providerDone = true
    if (this.#released) this.#finish()
    else if (!this.#settling) this.#cut(refusal, cause)
  }

  /** The client has gone: the provider's work stops at once. */
  clientGone(): void {
    if (this.#over) return
    this.#close()
    this.#call.attempt.end({ ...this.#outcome('cut'), cause: 'client_left' })
    if (!this.#providerDone) this.#call.controller.abort(CLIENT_GONE)
  }

  #settle(): void {
    this.#settling = true
    const whole = this.#tap === null || this.#tap.reading.whole
    const event = this.#call.attempt.end(this.#outcome(whole ? 'complete' : 'cut'))
    this.#call.parts.facts.flushed(() => {
      if (this.#over) return
      this.#released = true
      const last = this.#tap?.release(this.#commentOf(event)) ?? null
      if (last !== null && last.length > 0) this.#send(last)
      if (this.#providerDone) this.#finish()
    })
  }

  #cut(refusal: Refusal, cause: string): void {
    const { attempt, parts } = this.#call
    const { event, json } = failureEvent(attempt.admitted.request.facts.format, refusal)
    attempt.end({ ...this.#outcome('cut'), cause })
    parts.facts.flushed(() => {
      if (this.#over) return
      this.#close()
      const last = this.#tap?.cut(json, event)
      if (last === undefined) this.#raw.destroy()
      else {
        this.#body.write(last, () => this.#raw.destroy())
        this.#destroyUnread()
      }
    })
  }

  #outcome(ending: 'complete' | 'cut') {
    const { attempt, parts, status } = this.#call
    const reading = this.#tap?.reading
    if (reading === undefined) return outcome(ending, status, { textTokens: null })
    // What is made of pictures and sound cannot be told from the bytes that went by.
    const { facts } = attempt.admitted.request
    const flat = facts.flatOutputTokens !== undefined
    return outcome(ending, status, {
      usage: reading.usage(),
      final: reading.finished || ending === 'complete',
      stored:
        facts.keepsAnswer === true && reading.lastReport !== null ? storedInEvent(dataOf(reading.lastReport)) : [],
      textTokens: flat ? null : parts.tokensOfText(attempt.admitted, reading.textBytes),
    })
  }

  #commentOf(event: UsageEvent | null): string | null {
    if (event === null || !this.#call.parts.options.streamCostComment) return null
    const cost = formatUsd(this.#call.attempt.requestCost ?? ZERO_USD)
    return `bursar cost_usd=${cost} input_tokens=${event.inputTokens} output_tokens=${event.outputTokens}`
  }

  #send(bytes: Buffer): void {
    this.#begun = true
    if (this.#body.write(bytes) || this.#stalled !== undefined) return
    // A slow client slows the provider down; one that has stopped reading is as good as gone.
    this.#call.controller.pause()
    this.#stalled = this.#destroyLater()
    this.#raw.once('drain', () => {
      clearTimeout(this.#stalled)
      this.#stalled = undefined
      this.#call.controller.resume()
    })
  }

  #finish(): void {
    this.#close()
    this.#body.end()
    this.#destroyUnread()
  }

  /** What has been written is not yet sent: a client that never reads it would keep it in memory for ever. */
  #destroyUnread(): void {
    if (this.#raw.writableFinished || this.#raw.destroyed) return
    const late = this.#destroyLater()
    for (const event of ['finish', 'close']) this.#raw.once(event, () => clearTimeout(late))
  }

  #destroyLater(): NodeJS.Timeout {
    return setTimeout(() => this.#raw.destroy(), this.#call.parts.options.idleTimeoutMs)
  }

  #close(): void {
    this.#over = true
    clearTimeout(this.#stalled)
  }
}
