/** One simulated provider, whatever listens for it: its settings, its ledger, and each call from request to delivery. */
import { hash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../units/clock.ts'
import { EMPTY, readBody } from './body.ts'
import type { Answer, SimCall } from './call.ts'
import { Delivery } from './delivery.ts'
import { errorBody, Refused } from './errors.ts'
import { presentedKey, responseHeaders } from './headers.ts'
import { type OpenEntry, SimLedger } from './ledger.ts'
import { isOwnPath, type OwnState, serveOwn } from './own-routes.ts'
import { randomFrom } from './random.ts'
import { type Route, routeOf, tooLarge } from './routes.ts'
import { changed, INITIAL_SETTINGS, type SimSettings, settingsOf, TAG_HEADER } from './settings.ts'
import type { KeptResponses } from './stored-responses.ts'

export class Simulation implements OwnState {
  readonly ledger: SimLedger
  readonly #clock: Clock
  /** Keeps the ids of two providers, or of one before and after a restart, apart. */
  readonly #instance = randomBytes(8).toString('hex')
  #settings = INITIAL_SETTINGS
  #draw = randomFrom(INITIAL_SETTINGS.seed)
  #calls = 0
  readonly #kept: KeptResponses = new Map()

  constructor(ledgerMax: number, clock: Clock) {
    this.ledger = new SimLedger(ledgerMax)
    this.#clock = clock
  }

  get settings(): SimSettings {
    return this.#settings
  }

  configure(changes: Partial<SimSettings>): void {
    this.#settings = changed(this.#settings, changes)
    if (changes.seed !== undefined) this.#draw = randomFrom(changes.seed)
  }

  receive(request: IncomingMessage, response: ServerResponse): void {
    readBody(request, (body) => {
      const target = request.url ?? '/'
      const end = target.indexOf('?')
      const path = end === -1 ? target : target.slice(0, end)
      const query = end === -1 ? '' : target.slice(end + 1)
      if (isOwnPath(path)) {
        serveOwn(this, request.method ?? '', path, body ?? EMPTY, response)
        return
      }
      const route = routeOf(path, request.headers)
      this.#serve(request, response, body === null ? tooLarge(route) : route, path, query, body ?? EMPTY)
    })
  }

  #serve(
    request: IncomingMessage,
    response: ServerResponse,
    route: Route,
    path: string,
    query: string,
    body: Buffer,
  ): void {
    const { headers } = request
    const entry = this.#open(request, route, path, query, body)
    const delivery = new Delivery(response, entry, this.ledger, this.#clock)
    const mark = `${this.#instance}${entry.id.toString(36).padStart(8, '0')}`
    const refuse = (refused: Refused, retryAfter: string | null) => {
      const answered = responseHeaders(route.format, mark, 'application/json')
      if (retryAfter !== null) answered.push('retry-after', retryAfter)
      delivery.refuse(refused.status, answered, errorBody(route.format, refused, `req_${mark}`))
    }

    const settings = attempt(() => settingsOf(this.#settings, headers))
    if (settings instanceof Refused) {
      refuse(settings, null)
      return
    }
    const respond = () => {
      const contentType = headers['content-type'] ?? ''
      const call = {
        mark,
        at: entry.at,
        settings,
        body,
        contentType,
        query,
        pathModel: route.pathModel,
        entry,
        kept: this.#kept,
      }
      const key = settings.requireKey === null ? null : presentedKey(route.format, headers, query)
      const answer = attempt(() => this.#answer(call, route, key))
      if (answer instanceof Refused) {
        refuse(answer, settings.retryAfter)
      } else {
        const type = answer.contentType ?? 'application/json'
        delivery.answer(answer, responseHeaders(route.format, mark, type), settings)
      }
    }
    if (settings.latencyMs > 0) delivery.after(settings.latencyMs, respond)
    else respond()
  }

  #answer(call: SimCall, route: Route, key: string | null): Answer {
    const { settings, entry } = call
    if (route.method !== null && route.method !== entry.method) {
      throw new Refused(405, `Not allowed to ${entry.method} on ${entry.path}.`)
    }
    if (settings.requireKey !== null && key !== settings.requireKey) {
      throw new Refused(401, 'Incorrect API key provided.')
    }
    // Work is read before it is refused, so that the ledger names the model of what failed as well.
    const answer = route.answer(call)
    const fails = settings.errorRate > 0 && this.#draw() < settings.errorRate
    const status = settings.status ?? (fails ? settings.errorStatus : null)
    if (status !== null) throw new Refused(status, `The simulated provider was told to answer ${status}.`)
    return answer
  }

  #open(request: IncomingMessage, route: Route, path: string, query: string, body: Buffer): OpenEntry {
    const { recordHeaders, recordBodies } = this.#settings
    const { headers, method = '' } = request
    const entry: OpenEntry = {
      id: ++this.#calls,
      at: this.#clock.now(),
      method,
      path,
      query: recordHeaders ? query : null,
      format: route.format,
      model: route.pathModel,
      stream: false,
      requestId: textOf(headers['x-bursar-request-id']),
      tag: textOf(headers[TAG_HEADER]),
      headers: recordHeaders ? { ...headers } : null,
      bodyBytes: body.length,
      bodySha256: hash('sha256', body),
      body: recordBodies ? body : null,
      status: null,
      outcome: 'open',
      usage: null,
      usageReported: false,
      sentTokens: 0,
      endedAt: null,
    }
    this.ledger.open(entry)
    return entry
  }
}

function textOf(header: string | string[] | undefined): string | null {
  return typeof header === 'string' ? header : null
}

/** Turns whatever goes wrong while a stranger's request is read into an answer: no request may end the provider. */
function attempt<T>(make: () => T): T | Refused {
  try {
    return make()
  } catch (error) {
    return error instanceof Refused ? error : new Refused(500, 'The simulated provider could not make sense of this.')
  }
}
