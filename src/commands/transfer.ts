/** `bursar export` and `bursar import`: everything in one file. */
import { createReadStream, createWriteStream, statSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { EXPORT_TYPE, type ImportView } from '../schemas/transfer.ts'
import { AdminCallError, type AdminClient } from './admin-client.ts'
import { json, type Print } from './output.ts'

/** Writes the document to `file`, which is there whole or not at all; without one to standard output. Only its owner can read it. */
export async function exportTo(
  client: AdminClient,
  file: string | undefined,
  out: NodeJS.WritableStream,
): Promise<void> {
  const document = Readable.from(await client.open('GET', '/export'))
  if (file === undefined) return await pipeline(document, out, { end: false })
  const unfinished = `${file}.unfinished`
  try {
    await pipeline(document, createWriteStream(unfinished, { mode: 0o600 }))
    await rename(unfinished, file)
  } catch (error) {
    await rm(unfinished, { force: true })
    throw error
  }
}

/** Sends the file; on a terminal with a bar that says how far it is. */
export async function importFrom(
  client: AdminClient,
  file: string,
  options: { readonly withoutCredentials?: boolean; readonly json?: boolean },
  print: Print,
  progress: (share: number) => void,
): Promise<void> {
  const size = sizeOf(file)
  let sent = 0
  const counted = new Transform({
    transform(piece: Buffer, _encoding, done) {
      sent += piece.length
      progress(sent / size)
      done(null, piece)
    },
  })
  const stream = createReadStream(file)
  stream.once('error', (error) => counted.destroy(error))
  const query = options.withoutCredentials === true ? '?without_credentials=true' : ''
  const answer = await client.open('POST', `/import${query}`, { stream: stream.pipe(counted), type: EXPORT_TYPE })
  const pieces: Uint8Array[] = []
  for await (const piece of answer) pieces.push(piece)
  const counts = JSON.parse(Buffer.concat(pieces).toString('utf8')) as ImportView
  if (options.json === true) return print(json(counts))
  const shown = Object.entries(counts).filter(([, count]) => count > 0)
  print(`imported ${shown.map(([table, count]) => `${count} ${table.replaceAll('_', ' ')}`).join(', ') || 'nothing'}\n`)
}

function sizeOf(file: string): number {
  const size = statSync(file, { throwIfNoEntry: false })?.size
  if (size === undefined) throw new AdminCallError(`there is no file ${file}`)
  return Math.max(1, size)
}
