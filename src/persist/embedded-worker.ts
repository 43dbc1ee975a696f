/**
 * The embedded database's own thread: PGlite speaks the Postgres protocol, and this loop hands it the bytes of one connection.
 *
 * Never on a serving thread: a dump there would block it for its whole length (DESIGN section 9). Messages are `[connection, bytes]`;
 * bytes null is the connection's end. `sync` writes the folder's changed files to the disk, `close` ends the thread.
 */
import { closeSync, fsyncSync, openSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import { systemClock } from '../units/clock.ts'

export type ToWorker = readonly [connection: number, bytes: Uint8Array | null] | 'sync' | 'close'
export type FromWorker = readonly [connection: number, bytes: Uint8Array] | 'ready' | 'synced'

const port = parentPort
if (port === null) throw new Error('embedded-worker runs as a worker thread')
const { directory } = workerData as { directory: string }
const database = await PGlite.create({ dataDir: directory })

const SIMPLE_QUERY = 'Q'.charCodeAt(0)
const TERMINATE = 'X'.charCodeAt(0)
let current = 0
let rest: Uint8Array = new Uint8Array(0)
let syncedAt = 0
let queue = Promise.resolve()

port.on('message', (message: ToWorker) => {
  // An exception here is a broken database: it ends the thread, and `embedded.ts` starts another on the next connection.
  queue = queue.then(() => handle(message))
})
send('ready')

async function handle(message: ToWorker): Promise<void> {
  if (message === 'sync') {
    const startedAt = systemClock.now()
    syncFolder(directory, syncedAt)
    syncedAt = startedAt
    return send('synced')
  }
  if (message === 'close') {
    await database.close()
    port?.close()
    return
  }
  const [connection, bytes] = message
  if (connection < current) return
  if (connection > current) await beginSession(connection)
  if (bytes === null) return beginSession(connection + 1)
  const { whole, ended } = take(bytes)
  if (whole.length > 0) {
    const answer = await database.execProtocolRaw(whole, { syncToFs: false })
    const copy = new Uint8Array(answer)
    port?.postMessage([connection, copy] satisfies FromWorker, [copy.buffer])
  }
  if (ended) await beginSession(connection + 1)
}

function send(message: FromWorker): void {
  port?.postMessage(message)
}

/** PGlite has one session for everybody: what the last connection left open or set must not reach the next. */
async function beginSession(connection: number): Promise<void> {
  current = connection
  rest = new Uint8Array(0)
  await database.execProtocolRaw(simpleQuery('rollback'), { syncToFs: false })
  await database.execProtocolRaw(simpleQuery('discard all'), { syncToFs: false })
}

function simpleQuery(sql: string): Uint8Array {
  const text = Buffer.from(`${sql}\0`)
  const head = Buffer.alloc(5)
  head.writeUInt8(SIMPLE_QUERY)
  head.writeInt32BE(text.length + 4, 1)
  return Buffer.concat([head, text])
}

/** Cuts off the whole protocol messages so far; a part of one waits for the rest. `ended`: the client said goodbye. */
function take(bytes: Uint8Array): { whole: Uint8Array; ended: boolean } {
  const all = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
  const view = new DataView(all.buffer, all.byteOffset, all.byteLength)
  let end = 0
  let ended = false
  while (!ended) {
    // The startup message alone has no type byte before its length; its length is small, so that byte is zero.
    const head = all[end] === 0 ? 0 : 1
    if (end + head + 4 > all.length) break
    const next = end + head + view.getInt32(end + head)
    if (next > all.length) break
    if (all[end] === TERMINATE) ended = true
    else end = next
  }
  rest = ended ? new Uint8Array(0) : all.slice(end)
  return { whole: all.subarray(0, end), ended }
}

/** PGlite runs without fsync: this gives the disk every file that changed since the last time, and the folders that name them. */
function syncFolder(folder: string, changedSince: number): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) syncFolder(path, changedSince)
    // Two seconds: file systems round their times.
    else if (entry.isFile() && statSync(path).mtimeMs >= changedSince - 2_000) syncPath(path)
  }
  syncPath(folder)
}

function syncPath(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
