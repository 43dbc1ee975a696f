/**
 * Admin client: the admin API as commands use it, over HTTP beside a running gateway, or in this process where none runs. One way to do
 * each thing, with the same checks and the same lines in the audit log.
 */
import type { Readable } from 'node:stream'

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

/** The one line of an error body. */
export function refusalLine(status: number, body: string): string {
  try {
    const { error } = JSON.parse(body) as {
      error: { message: string; details?: readonly { path: string; message: string }[] }
    }
    const problems = Array.isArray(error.details)
      ? error.details.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
      : []
    return problems.length > 0 ? problems.join('; ') : error.message
  } catch {
    return `the admin API answered ${status}`
  }
}
