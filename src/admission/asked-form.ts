/**
 * Asked form: the form in which a client may ask for its answer (F07). Google's APIs leave out of an answer whatever a field mask does not name,
 * its report of usage too, and write it otherwise than as JSON when they are told to: nobody could say then what it has cost.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Refusal } from './decision.ts'

const MASK_HEADER = 'x-goog-fieldmask'
/** Most queries have nothing that looks like one of the parameters, or like an escape in its name. */
const SUSPICIOUS = /fields|alt|callback|%/i
const READABLE_FORM = /^(json|sse)?(;enum-encoding=\w+)?$/i

/** Why an answer in this form is refused; null where it is not. */
export function refusalOfForm(query: string, headers: IncomingHttpHeaders): Refusal | null {
  if (headers[MASK_HEADER] !== undefined) return refusal(MASK_HEADER, 'header')
  if (query === '' || !SUSPICIOUS.test(query)) return null
  for (const [name, value] of new URLSearchParams(query)) {
    const parameter = name.replace(/^\$/, '').toLowerCase()
    const hides = parameter === 'fields' || parameter === 'callback'
    if (hides || (parameter === 'alt' && !READABLE_FORM.test(value))) return refusal(parameter, 'query parameter')
  }
  return null
}

function refusal(param: string, what: string): Refusal {
  const message = `The ${what} "${param}" is not taken: the answer would not tell what it has cost.`
  return { code: 'invalid_request', message, param }
}
