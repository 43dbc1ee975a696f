/** Which tap reads an answer on its way, by what the provider says it sends; none where the answer is collected. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Admitted } from '../admission/admission.ts'
import { dialectOf } from '../usage/stream-dialect.ts'
import { StreamTap } from '../usage/stream-tap.ts'
import { encodingOf } from './decoding.ts'
import { asksForReport } from './rewrite.ts'

export function tapFor(
  { request, candidate }: Admitted,
  headers: IncomingHttpHeaders,
): StreamTap | 'unreadable' | null {
  const { facts } = request
  if (facts.unmetered !== undefined) return 'unreadable'
  const framing = framingOf(headers['content-type'], facts.endpoint === 'stream_generate_content')
  // Sound is played while it is made, and nobody can read its usage.
  if (framing === null) return facts.endpoint === 'speech' ? 'unreadable' : null
  if (encodingOf(headers) !== null) return 'unreadable'
  return new StreamTap({
    dialect: dialectOf(facts.format, facts.endpoint),
    framing,
    dropReport: asksForReport(facts, candidate),
  })
}

function framingOf(contentType: string | undefined, streamsArray: boolean): 'events' | 'array' | null {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase()
  if (type === 'text/event-stream') return 'events'
  return streamsArray && type === 'application/json' ? 'array' : null
}
