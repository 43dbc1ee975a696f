/**
 * Provider call: one attempt at one candidate, from its dispatch to its end, as the handler of an undici dispatch.
 *
 * An exception in a handler's callback can end the process, so each of them is guarded; and after an abort undici calls back once
 * more at once, so what is over is marked before anything is aborted.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Refusal } from '../admission/decision.ts'
import { refusalOfError } from '../admission/error-refusal.ts'
import { type Outcome, outcome } from '../usage/settle.ts'
import type { Attempt } from '../usage/tracker.ts'
import { brokenAnswer, refusedAnswer, wholeAnswer } from './answer-reading.ts'
import { decoded } from './decoding.ts'
import { breakOff, type CallParts, type Exchange } from './exchange.ts'
import { type Failure, failureOf, masked, mayBeRetried, refusalOfStatus } from './failure.ts'
import { type AnswerHeaders, answerHeaders, oneOfEach } from './headers.ts'
import { headersTimeoutOf, outgoingCall } from './outgoing.ts'
import { StreamRelay } from './stream-relay.ts'
import { tapFor } from './tap-for.ts'
import { tunnel } from './tunnel.ts'

const GIVEN_UP = new Error('the call was given up')

export class ProviderCall implements Dispatcher.DispatchHandler {
  readonly #parts: CallParts
  readonly #exchange: Exchange
  readonly #attempt: Attempt
  /** Tries the next candidate; called when this attempt has made room for it. */
  readonly #next: (attempt: Attempt) => void
  #controller: Dispatcher.DispatchController | null = null
  #status: number | null = null
  #headers: IncomingHttpHeaders = {}
  #relay: StreamRelay | null = null
  #chunks: Buffer[] = []
  #bytes = 0
  #clientGone = false
  #over = false

  constructor(parts: CallParts, exchange: Exchange, attempt: Attempt, next: (attempt: Attempt) => void) {
    this.#parts = parts
    this.#exchange = exchange
    this.#attempt = attempt
    this.#next = next
    attempt.runner = this
  }

  /** A conversation ends when one of the two leaves. */
  get endless(): boolean {
    return this.#exchange.upgraded !== null
  }

  dispatch(): void {
    this.#guard(() => {
      const { options, pools } = this.#parts
      const { origin, call } = outgoingCall(this.#attempt.admitted, this.#exchange.headers, options)
      const upgrade = this.#exchange.upgraded === null ? {} : { upgrade: 'websocket' }
      pools.of(origin).dispatch({ ...call, ...upgrade }, this)
    })
  }

  /** The client's connection has closed before its answer was whole. */
  clientGone(): void {
    this.#guard(() => {
      if (this.#over) return
      this.#clientGone = true
      const forwarded = this.#controller !== null
      const { stream, unmetered } = this.#attempt.admitted.request.facts
      if (this.#relay !== null) this.#relay.clientGone()
      else if (!forwarded) this.#giveUp(outcome('withdrawn', null))
      else if (this.#status === null && (stream || unmetered !== undefined)) this.#giveUp(outcome('abandoned', null))
      else if ((this.#status ?? 0) >= 300) this.#giveUp(outcome('refused', this.#status))
      else if (this.#parts.options.onAbort === 'cancel') this.#giveUp(outcome('cancelled', this.#status))
    })
  }

  /** The call has taken as long as any may. */
  timeUp(): void {
    this.#guard(() => {
      if (this.#over) return
      const message = `The provider ${this.#providerName()} did not finish its answer in time.`
      const refusal: Refusal = { code: 'upstream_timeout', message }
      const cause = 'total_timeout'
      if (this.#relay !== null) this.#relay.died(refusal, cause)
      else if (this.#status !== null) this.#cutShort(refusal, cause, false)
      else this.#unanswered({ ending: this.#controller === null ? 'unreached' : 'silent', refusal, cause })
      this.#over = true
      this.#controller?.abort(GIVEN_UP)
    })
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#guard(() => {
      this.#controller = controller
      if (this.#over) controller.abort(GIVEN_UP)
    })
  }

  onRequestUpgrade(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    socket: Duplex,
  ): void {
    this.#guard(() => {
      const { upgraded } = this.#exchange
      if (this.#over || upgraded === null) {
        socket.destroy()
        return
      }
      this.#over = true
      this.#attempt.firstByteAt = this.#parts.clock.elapsed()
      this.#exchange.switchProtocols(this.#attempt.admitted, answerHeaders(headers))
      tunnel(upgraded, socket, () => this.#attempt.end(outcome('complete', status)))
    })
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    this.#guard(() => {
      if (this.#over) return
      // 1xx comes before the answer and is for this connection only; each starts undici's own time-out anew.
      if (status < 200) {
        const { admitted, startedAt } = this.#attempt
        // Uploads under a provider's name may take any time before their answer begins.
        const waitsSince = admitted.request.facts.unmetered === undefined ? startedAt : Number.POSITIVE_INFINITY
        if (this.#parts.clock.elapsed() - waitsSince > headersTimeoutOf(admitted, this.#parts.options)) this.timeUp()
        return
      }
      this.#status = status
      oneOfEach(headers)
      this.#headers = headers
      const { admitted } = this.#attempt
      const method = admitted.request.facts.unmetered?.method
      // As it was: what a client is told that asked for something again. To a call that makes something it would be no answer.
      const isUnchanged = status === 304 && (method === 'GET' || method === 'HEAD')
      if (status >= 300 && !isUnchanged) {
        this.#parts.resting.answered(admitted.candidate, status, headers)
        return
      }
      const tap = tapFor(admitted, headers)
      if (tap === null) return
      if (this.#clientGone) {
        // Nobody asked for a stream, and nobody is left to read it.
        this.#giveUp(outcome('cut', status, { final: false }))
        return
      }
      const answered = answerHeaders(headers)
      // What passes as it is keeps its length.
      if (tap === 'unreadable' && headers['content-length'] !== undefined) {
        answered['content-length'] = headers['content-length']
      }
      // They are what was read with them, all 64 KB of it, as long as the stream lasts; nobody asks for them again.
      Object.assign(controller, { rawHeaders: null })
      const raw = this.#exchange.begin(admitted, status, answered)
      const bodiless = status === 204 || isUnchanged || method === 'HEAD'
      const framed = bodiless || headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined
      const call = { parts: this.#parts, attempt: this.#attempt, controller, status, endsWithConnection: !framed }
      this.#relay = new StreamRelay(call, raw, tap === 'unreadable' ? null : tap)
    })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#guard(() => {
      if (this.#over) return
      this.#attempt.firstByteAt ??= this.#parts.clock.elapsed()
      if (this.#relay === null) this.#collect(chunk, controller)
      else this.#relay.write(chunk)
    })
  }

  onResponseEnd(): void {
    this.#guard(() => {
      if (this.#over) return
      if (this.#relay === null) this.#collected()
      else this.#relay.end()
    })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#guard(() => {
      if (this.#over) return
      const { candidate } = this.#attempt.admitted
      const failure = failureOf(error, candidate.provider.name, this.#controller !== null)
      if (this.#relay !== null) this.#relay.died(failure.refusal, failure.cause)
      else if (this.#status === null) this.#unanswered(failure)
      else this.#cutShort(failure.refusal, failure.cause, true)
    })
  }

  #collect(chunk: Buffer, controller: Dispatcher.DispatchController): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes <= this.#parts.options.answerMaxBytes) return
    const message = `The answer of the provider ${this.#providerName()} is too large.`
    // Another provider's answer would hardly be smaller.
    this.#cutShort({ code: 'upstream_unreachable', message }, 'answer_too_large', false)
    controller.abort(GIVEN_UP)
  }

  /** No status came. */
  #unanswered({ ending, refusal, cause }: Failure): void {
    const end = outcome(ending, null, { cause })
    if (this.#movesOn(end)) return
    this.#attempt.end(end)
    this.#refuse(refusal)
  }

  /** A collected answer broke off, or was broken off by us. No byte of it has reached the client. */
  #cutShort(refusal: Refusal, cause: string, mayMoveOn: boolean): void {
    const status = this.#status ?? 0
    const { admitted } = this.#attempt
    const body = Buffer.concat(this.#chunks, this.#bytes)
    const broken =
      status < 300 ? brokenAnswer(admitted, status, body, this.#parts.tokensOfText) : outcome('refused', status)
    const cut = { ...broken, cause }
    if (mayMoveOn && (status < 300 || mayBeRetried(status)) && this.#movesOn(cut)) return
    this.#attempt.end(cut)
    this.#refuse(refusalOfStatus(status, this.#providerName()) ?? refusal)
  }

  #collected(): void {
    const status = this.#status ?? 0
    const { admitted } = this.#attempt
    const { body, encoded } = decoded(Buffer.concat(this.#chunks, this.#bytes), this.#headers, this.#parts.options)
    const headers = answerHeaders(this.#headers)
    if (!encoded) delete headers['content-encoding']
    const readable = encoded ? null : body
    if (status < 300) {
      this.#attempt.end(wholeAnswer(admitted, status, readable, this.#parts.tokensOfText))
      this.#answered(() => this.#exchange.answer(admitted, status, headers, body, this.#attempt.requestCost))
    } else {
      this.#refused(status, headers, body, readable)
    }
  }

  #refused(status: number, headers: AnswerHeaders, body: Buffer, readable: Buffer | null): void {
    const { admitted } = this.#attempt
    const end = refusedAnswer(admitted, status, readable)
    if (mayBeRetried(status) && this.#movesOn(end)) return
    this.#attempt.end(end)
    const refusal = refusalOfStatus(status, this.#providerName())
    if (refusal === null) {
      headers['x-bursar-error-source'] = 'provider'
      const credential = admitted.candidate.providerKey?.value ?? null
      const safe = readable === null ? body : Buffer.from(masked(readable.toString(), credential))
      this.#answered(() => this.#exchange.answer(admitted, status, headers, safe, this.#attempt.requestCost))
    } else this.#refuse(refusal)
  }

  /** Hands the request on to the next candidate that fits, if the client still wants it and there is one; or ends it for want of a journal. */
  #movesOn(end: Outcome): boolean {
    const { attempt } = this.#attempt.admitted.identity
    if (this.#clientGone || attempt >= this.#parts.options.attemptsMax) return false
    const moved = this.#attempt.moveOn(end)
    if (moved === null) return false
    this.#over = true
    if (moved.ok) {
      this.#exchange.moved(moved.value.admitted)
      this.#next(moved.value)
    } else this.#refuse(moved.refusal)
    return true
  }

  #giveUp(end: Outcome): void {
    this.#over = true
    this.#attempt.end(end)
    this.#controller?.abort(GIVEN_UP)
  }

  /** Answers the ended attempt with an error of ours, and says what the request cost all the same. */
  #refuse(refusal: Refusal): void {
    this.#answered(() => this.#exchange.refuse(refusal, this.#attempt.requestCost))
  }

  /** Answers once what the attempt came to has been written down. */
  #answered(answer: () => void): void {
    this.#over = true
    this.#chunks = []
    if (this.#clientGone) return
    this.#parts.facts.flushed(() =>
      this.#guard(() => {
        answer()
        this.#destroyUnread()
      }),
    )
  }

  /** A client that has stopped reading would keep its answer in memory for ever; one that reads slowly is waited for. */
  #destroyUnread(): void {
    const { raw } = this.#exchange
    if (raw.destroyed || (raw.writableEnded && raw.writableLength === 0)) return
    // The server sets its own time-out again when the answer has left.
    raw.setTimeout(this.#parts.options.idleTimeoutMs, () => raw.destroy())
  }

  #providerName(): string {
    return this.#attempt.admitted.candidate.provider.name
  }

  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      const { requestId } = this.#attempt.admitted.identity
      this.#parts.log.error({ err: error, requestId }, 'a call to a provider failed for a reason of ours')
      this.#giveUp(outcome(this.#controller === null ? 'withdrawn' : 'abandoned', this.#status))
      breakOff(this.#exchange, refusalOfError(error, requestId), this.#attempt.requestCost)
    }
  }
}
