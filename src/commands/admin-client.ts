/**
 * Admin client: the admin API as commands use it, over HTTP beside a running gateway, or in this process where none runs. One way to do
 * each thing, with the same checks and the same lines in the audit log.
 */
import type { Readable } from 'node:stream'
import type { Problem } from '../schemas/lists.ts'

/** What is sent: something that becomes JSON, or a stream with its type. */
export type RequestBody = object | { readonly stream: Readable; readonly type: string }

export interface AdminClient {
  /** The body of a 2xx answer as text, piece by piece. Throws {@link AdminCallError} for any other. */
  open(method: 'GET' | 'POST' | 'PATCH', path: string, body?: RequestBody): Promise<AsyncIterable<Uint8Array>>
  close(): Promise<void>
}

/** The admin API has refused; the message is its own, one line for the person at the terminal. */
export class AdminCallError extends Error {
  override readonly name = 'AdminCallError'
  /** What is wrong with which field, where the API has said so. */
  readonly problems: readonly Problem[]

  constructor(message: string, { problems = [], ...options }: ErrorOptions & { problems?: readonly Problem[] } = {}) {
    super(message, options)
    this.problems = problems
  }
}

/** Calls with JSON and gives the JSON of the answer. */
export async function call<T>(
  client: AdminClient,
  method: 'GET' | 'POST' | 'PATCH',
  path: string,
  body?: object,
): Promise<T> {
  const pieces: Uint8Array[] = []
  for await (const piece of await client.open(method, path, body)) pieces.push(piece)
  return JSON.parse(Buffer.concat(pieces).toString('utf8')) as T
}

interface Page<T> {
  readonly data: readonly T[]
  readonly next_cursor: string | null
}

/** Every entity of a list, page by page. `path` may carry filters. */
export async function* all<T>(client: AdminClient, path: string): AsyncGenerator<T> {
  const base = `${path}${path.includes('?') ? '&' : '?'}limit=1000`
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: Page<T> = await call(
      client,
      'GET',
      cursor === '' ? base : `${base}&cursor=${encodeURIComponent(cursor)}`,
    )
    yield* page.data
    cursor = page.next_cursor
  }
}

/** What the API says by an answer that is none of success. */
export function refusedCall(status: number, body: string): AdminCallError {
  try {
    const { error } = JSON.parse(body) as { error: { message: string; details?: unknown } }
    const problems = Array.isArray(error.details) ? (error.details as Problem[]) : []
    const lines = problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
    return new AdminCallError(lines.length > 0 ? lines.join('; ') : error.message, { problems })
  } catch {
    return new AdminCallError(`the admin API answered ${status}`)
  }
}
