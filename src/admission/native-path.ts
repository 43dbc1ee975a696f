/**
 * Native paths: what is refused of a pass-through path before it is asked who may use it (CONTRACT sections 3 and 3.2).
 *
 * Requests that name a model have routes of their own, which are governed, and are sent on under a path that we write. Everything else is
 * sent on as it came; so nothing may come this way that some server could take for one of the governed paths.
 */
import type { Refusal } from './decision.ts'

/**
 * What such a path is made of. No escapes: whatever they stand for, somebody reads it before they are undone, and somebody after. No `;`:
 * some servers cut a part of the path off there.
 */
const PLAIN = /^[\w.~:@!$&'()*+,=/-]*$/
/** How the governed paths end, however their beginning is written. Threads of OpenAI's assistants have messages of their own. */
const GOVERNED =
  /(?:\/(?:completions|embeddings|responses|count_tokens|moderations|rerank|generations|edits|variations|speech|transcriptions|translations)|(?<!\/threads\/[^/]+)\/messages|:(?:generatecontent|streamgeneratecontent|counttokens|embedcontent|batchembedcontents))\/*$/
/** What a response has stored; found by the key that made it, on the routes for that. */
const STORED = /\/responses\/+[^/]/
/** Parameters that make another method, or other headers, of a request at some servers. */
const OVERRIDES: ReadonlySet<string> = new Set([
  '_method',
  '$httpmethod',
  '$httpheaders',
  '$req',
  'x-http-method-override',
])
/** Methods that ask for nothing to be made. */
const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE'])

/**
 * Why a request under a provider's name is refused for its target alone; null when it is not.
 *
 * @param path what follows the name
 * @param reached the path at the provider that this comes to: what a base URL has of its own may make a governed path of it
 */
export function refusalOfNativeTarget(method: string, path: string, query: string, reached: string): Refusal | null {
  if (!PLAIN.test(path) || overrides(query)) {
    return { code: 'invalid_request', message: 'The path or the query can be read in two ways. Write it plainly.' }
  }
  const folded = reached.toLowerCase()
  if (STORED.test(folded) || (GOVERNED.test(folded) && !READING.has(method))) {
    const message = 'This path is not served in this spelling. Write it as the provider documents it, under /v1.'
    return { code: 'endpoint_not_allowed', message }
  }
  return null
}

function overrides(query: string): boolean {
  return [...new URLSearchParams(query).keys()].some((name) => OVERRIDES.has(name.toLowerCase()))
}
