/** Which path of which provider is answered by what. */
import type { IncomingHttpHeaders } from 'node:http'
import type { ApiFormat } from '../admission/request-facts.ts'
import { answerMessage, countMessageTokens } from './anthropic.ts'
import type { Answer, SimCall } from './call.ts'
import { Refused } from './errors.ts'
import { countContentTokens, generateContent, streamGenerateContent } from './google.ts'
import { batchEmbedContents, embedContent } from './google-embeddings.ts'
import { listModels, oneModel } from './listings.ts'
import { answerChat } from './openai-chat.ts'
import { answerCompletion } from './openai-completions.ts'
import { answerEmbeddings } from './openai-embeddings.ts'
import { answerImageForm, answerImages } from './openai-images.ts'
import { answerModerations } from './openai-moderations.ts'
import { answerResponse } from './openai-responses.ts'
import { answerSpeech } from './openai-speech.ts'
import { answerTranscription } from './openai-transcriptions.ts'
import { answerRerank } from './rerank.ts'
import { answerStored } from './stored-responses.ts'

type Answering = (call: SimCall) => Answer

export interface Route {
  readonly format: ApiFormat
  readonly method: 'GET' | 'POST' | null
  readonly pathModel: string | null
  readonly answer: Answering
}

function post(format: ApiFormat, answer: Answering): Route {
  return { format, method: 'POST', pathModel: null, answer }
}

const POSTS: ReadonlyMap<string, Route> = new Map([
  ['/v1/chat/completions', post('openai', answerChat)],
  ['/v1/completions', post('openai', answerCompletion)],
  ['/v1/responses', post('openai', answerResponse)],
  ['/v1/embeddings', post('openai', answerEmbeddings)],
  ['/v1/moderations', post('openai', answerModerations)],
  ['/v1/images/generations', post('openai', answerImages)],
  ['/v1/images/edits', post('openai', answerImageForm)],
  ['/v1/images/variations', post('openai', answerImageForm)],
  ['/v1/audio/transcriptions', post('openai', answerTranscription)],
  ['/v1/audio/translations', post('openai', answerTranscription)],
  ['/v1/audio/speech', post('openai', answerSpeech)],
  ['/v1/rerank', post('openai', answerRerank)],
  ['/v1/messages', post('anthropic', answerMessage)],
  ['/v1/messages/count_tokens', post('anthropic', countMessageTokens)],
])

const GOOGLE_METHODS: ReadonlyMap<string, Answering> = new Map([
  ['generateContent', generateContent],
  ['streamGenerateContent', streamGenerateContent],
  ['countTokens', countContentTokens],
  ['embedContent', embedContent],
  ['batchEmbedContents', batchEmbedContents],
])
/** Google's SDK called `v1beta` for years and calls `v1` from its third major version on; OpenAI and Anthropic have only `v1`. */
const RESPONSES = /^\/v1\/responses\/([^/]+)(?:\/(input_items|cancel))?$/
const MODELS = /^\/(v1|v1beta|v1alpha)\/models(?:\/(.+))?$/

/** The route of a path; for paths that no provider has, one that answers 404 in the format its beginning suggests. */
export function routeOf(path: string, headers: IncomingHttpHeaders): Route {
  const fixed = POSTS.get(path)
  if (fixed !== undefined) return fixed
  const [, id, below = ''] = RESPONSES.exec(path) ?? []
  if (id !== undefined) {
    return { format: 'openai', method: null, pathModel: null, answer: (call) => answerStored(call, id, below) }
  }
  const models = MODELS.exec(path)
  if (models === null) return nowhere(path.startsWith('/v1beta/') ? 'google' : 'openai')
  const [, version, name = ''] = models
  const colon = name.lastIndexOf(':')
  const answer = colon === -1 ? undefined : GOOGLE_METHODS.get(name.slice(colon + 1))
  if (answer !== undefined)
    return { format: 'google', method: 'POST', pathModel: decoded(name.slice(0, colon)), answer }
  const format = version === 'v1' ? formatOfCaller(headers) : 'google'
  return name === ''
    ? { format, method: 'GET', pathModel: null, answer: listModels }
    : { format, method: 'GET', pathModel: decoded(name), answer: oneModel }
}

/** On the path that all three share, the caller is told by the headers only its SDK sends. */
function formatOfCaller(headers: IncomingHttpHeaders): ApiFormat {
  if (headers['anthropic-version'] !== undefined) return 'anthropic'
  return headers['x-goog-api-key'] === undefined ? 'openai' : 'google'
}

/** Its own text where it is no valid encoding: such a name is then simply unknown. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function nowhere(format: ApiFormat): Route {
  return refusing(format, (call) => new Refused(404, `Invalid URL (${call.entry.method} ${call.entry.path})`))
}

/** The same path with a body nobody wants to read. */
export function tooLarge({ format }: Route): Route {
  return refusing(format, () => new Refused(413, 'The request body is too large.'))
}

function refusing(format: ApiFormat, why: (call: SimCall) => Refused): Route {
  const answer = (call: SimCall) => {
    throw why(call)
  }
  return { format, method: null, pathModel: null, answer }
}
