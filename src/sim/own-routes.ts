/** `/_sim/*`: the provider's own routes, for tests and tools in other processes. JSON in snake_case. */
import type { ServerResponse } from 'node:http'
import { errorBody, Refused } from './errors.ts'
import { isObject, parseObject } from './json.ts'
import type { SimLedger } from './ledger.ts'
import { separated } from './names.ts'
import { readChanges, type SimSettings } from './settings.ts'

const PREFIX = '/_sim/'

export interface OwnState {
  readonly ledger: SimLedger
  readonly settings: SimSettings
  configure(changes: Partial<SimSettings>): void
}

export function isOwnPath(path: string): boolean {
  return path.startsWith(PREFIX)
}

/** Answers `GET health`, `GET` and `DELETE ledger`, and `POST configure`, whose answer is the settings now in force. */
export function serveOwn(state: OwnState, method: string, path: string, body: Buffer, response: ServerResponse): void {
  try {
    send(response, 200, JSON.stringify(inSnakeCase(act(state, `${method} ${path.slice(PREFIX.length)}`, body))))
  } catch (error) {
    const refused = error instanceof Refused ? error : new Refused(500, 'The simulated provider has a bug.')
    send(response, refused.status, errorBody('openai', refused, ''))
  }
}

function act(state: OwnState, action: string, body: Buffer): unknown {
  switch (action) {
    case 'GET health':
      return { status: 'ok' }
    case 'GET ledger':
      return { calls: state.ledger.list(), totals: state.ledger.totals() }
    case 'DELETE ledger':
      state.ledger.clear()
      return { status: 'ok' }
    case 'POST configure': {
      state.configure(readChanges(parseObject(body)))
      const { requireKey, ...settings } = state.settings
      return { ...settings, requireKey: requireKey === null ? null : 'set' }
    }
    default:
      throw new Refused(404, 'There is no such route of the simulated provider.')
  }
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, ['content-type', 'application/json', 'content-length', String(Buffer.byteLength(body))])
  response.end(body)
}

/** Header names are no names of ours: they stay, and so does what they hold. Bodies are base64. */
function inSnakeCase(value: unknown, name = ''): unknown {
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (name === 'headers') return value
  if (Array.isArray(value)) return value.map((item) => inSnakeCase(item))
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [separated(key, '_'), inSnakeCase(item, key)]))
}
