/**
 * From an answer to the socket: waiting, writing no faster than the peer reads, and every way of failing a caller can ask for.
 *
 * The peer's leaving stops the work at once: whatever was planned next is a timer or a 'drain' listener, and neither outlives it.
 */
import type { ServerResponse } from 'node:http'
import type { Clock } from '../units/clock.ts'
import type { Usage } from '../usage/usage.ts'
import type { Answer, Chunk, Streamed, Whole } from './call.ts'
import type { OpenEntry, SimLedger } from './ledger.ts'
import { usageAfter } from './plan.ts'
import type { SimSettings } from './settings.ts'

/** Between the two packets of a report that is to arrive split, so that they stay two. */
const SPLIT_MS = 5

export class Delivery {
  readonly #response: ServerResponse
  readonly #entry: OpenEntry
  #timer: NodeJS.Timeout | undefined
  #gone = false
  /** Of a stream that has begun and not ended: what it would cost as a whole. */
  #streaming: Usage | null = null

  constructor(response: ServerResponse, entry: OpenEntry, ledger: SimLedger, clock: Clock) {
    this.#response = response
    this.#entry = entry
    response.once('close', () => {
      this.#gone = true
      clearTimeout(this.#timer)
      this.#countPart()
      ledger.end(entry, entry.outcome === 'open' ? this.#ending() : entry.outcome, clock.now())
    })
  }

  #ending(): 'completed' | 'aborted' | 'refused' {
    if (!this.#response.writableFinished) return 'aborted'
    return (this.#entry.status ?? 0) >= 400 ? 'refused' : 'completed'
  }

  /** What a stream that stops here has cost. */
  #countPart(): void {
    if (this.#streaming !== null) this.#entry.usage = usageAfter(this.#streaming, this.#entry.sentTokens)
  }

  /** Does `next` after `ms`, unless the peer is gone by then. */
  after(ms: number, next: () => void): void {
    this.#timer = setTimeout(next, ms)
  }

  refuse(status: number, headers: string[], body: string): void {
    this.#head(status, headers, body)
    this.#response.end(body)
  }

  answer(answer: Answer, headers: string[], settings: SimSettings): void {
    if (settings.stall === 'headers') this.#entry.outcome = 'stalled'
    else if (settings.die === 'before-headers') this.#die()
    else if (answer.kind === 'whole') this.#whole(answer, headers, settings)
    else this.#stream(answer, headers, settings)
  }

  /** Without a body its length is not known, and chunked encoding tells its end. */
  #head(status: number, headers: string[], body: string | Buffer | null): void {
    this.#entry.status = status
    if (body !== null) headers.push('content-length', String(Buffer.byteLength(body)))
    this.#response.writeHead(status, headers)
  }

  #whole(answer: Whole, headers: string[], settings: SimSettings): void {
    const { body, tokens, usage } = answer
    const { die, stall } = settings
    // The work is done before the first byte is sent, and billed even where that byte is all that arrives.
    this.#entry.usage = usage
    this.#head(200, headers, body)
    if (die === 'after-headers') {
      this.#dieAfterHeaders()
    } else if (die !== null || stall === 'body') {
      this.#entry.sentTokens = Math.floor(tokens / 2)
      this.#response.write(body.slice(0, Math.floor(body.length / 2)), () => this.#failNow(settings))
    } else {
      const found = settings.usage === 'split' && typeof body === 'string' ? body.search(/"usage(Metadata)?"/) : -1
      const middle = found === -1 ? 0 : found + '"usa'.length
      const send = () => {
        this.#entry.sentTokens = tokens
        this.#entry.usageReported = usage !== null && settings.usage !== 'none'
        this.#response.end(middle === 0 ? body : body.slice(middle))
      }
      if (middle === 0) {
        send()
      } else {
        this.#response.write(body.slice(0, middle))
        this.after(SPLIT_MS, send)
      }
    }
  }

  #stream(answer: Streamed, headers: string[], settings: SimSettings): void {
    const { die, stall, usage, chunkDelayMs } = settings
    const response = this.#response
    const entry = this.#entry
    this.#streaming = answer.usage
    this.#countPart()
    this.#head(200, headers, null)
    if (die === 'after-headers') {
      this.#dieAfterHeaders()
      return
    }
    const chunks = usage === 'split' ? withUsageSplit(answer.chunks) : answer.chunks
    const half = die !== null || stall === 'body' ? Math.ceil(answer.contentChunks / 2) : Number.POSITIVE_INFINITY
    let contents = 0

    const next = (): void => {
      while (!this.#gone) {
        const step = chunks.next()
        if (step.done === true) {
          entry.usage = answer.usage
          this.#streaming = null
          response.end()
          return
        }
        const { text, tokens, usage: reports, pauseMs } = step.value
        response.write(text)
        if (reports) entry.usageReported = true
        if (tokens > 0) contents++
        entry.sentTokens += tokens
        if (contents >= half) {
          this.#failMidStream(answer, settings)
          return
        }
        const wait = pauseMs ?? (tokens > 0 ? chunkDelayMs : 0)
        if (wait > 0) {
          this.after(wait, whenRoom)
          return
        }
        if (response.writableNeedDrain) {
          response.once('drain', next)
          return
        }
      }
    }
    const whenRoom = () => {
      if (response.writableNeedDrain) response.once('drain', next)
      else next()
    }
    next()
  }

  #failMidStream(answer: Streamed, settings: SimSettings): void {
    if (settings.die === 'error-event' || settings.die === 'early-end') {
      this.#entry.outcome = 'died'
      this.#response.end(settings.die === 'error-event' ? answer.failure : '')
    } else {
      this.#response.write('\n', () => this.#failNow(settings))
    }
  }

  /** What was written has left this process: fall silent, or break off. */
  #failNow(settings: SimSettings): void {
    if (settings.die !== null) {
      this.#die()
    } else {
      this.#entry.outcome = 'stalled'
      this.#countPart()
    }
  }

  #dieAfterHeaders(): void {
    this.#response.flushHeaders()
    this.#response.socket?.write('', () => this.#die())
  }

  #die(): void {
    this.#entry.outcome = 'died'
    this.#response.destroy()
  }
}

function* withUsageSplit(chunks: Iterator<Chunk, void>): Generator<Chunk, void> {
  for (let step = chunks.next(); step.done !== true; step = chunks.next()) {
    const chunk = step.value
    if (chunk.usage) {
      const middle = chunk.text.length / 2
      yield { ...chunk, text: chunk.text.slice(0, middle), usage: false, pauseMs: SPLIT_MS }
      yield { ...chunk, text: chunk.text.slice(middle), tokens: 0 }
    } else {
      yield chunk
    }
  }
}
