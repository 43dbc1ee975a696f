/**
 * Request facts: what admission needs to know of a request, read once from path, headers and body.
 */
import type { Readable } from 'node:stream'
import type { TextCount } from './estimate.ts'
import type { ImageFacts } from './image-tokens.ts'

/** The API whose shapes the caller speaks: it decides field names, error bodies and stream events. */
export type ApiFormat = 'openai' | 'anthropic' | 'google'

/** The route family. */
export type Endpoint =
  | 'chat'
  | 'completions'
  | 'responses'
  | 'embeddings'
  | 'moderations'
  | 'rerank'
  | 'image_generations'
  | 'image_edits'
  | 'image_variations'
  | 'speech'
  | 'transcriptions'
  | 'translations'
  | 'messages'
  | 'count_tokens'
  | 'generate_content'
  | 'stream_generate_content'
  | 'embed_content'
  | 'batch_embed_contents'
  /** Unmetered, for keys that an admin allows it. */
  | 'passthrough'

/** Where the bytes of a value lie in the body: `[start, end)`. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A body that waits outside of memory. It can be read again for every attempt, with some of its bytes replaced. */
export interface Upload {
  readonly bytes: number
  /** Its bytes with the edits made; edits do not overlap and come in order. */
  read(edits: readonly Edit[]): Readable
}

/** Text in the place of the bytes of a span. */
export interface Edit extends Span {
  readonly text: string
}

/** A request under a provider's name: it goes there and nowhere else, and its model is named as that provider names it. */
export interface NativeCall {
  readonly provider: string
  /** Azure's classic form: the path carries the deployment. */
  readonly classic: boolean
}

/** A call that is sent on as it came. */
export interface UnmeteredCall {
  readonly method: string
  /** Below the provider's base URL, or below its path for an endpoint. */
  readonly path: string
  readonly below?: Endpoint
  readonly body: Readable | null
  /** Length of the body, where the client has said it. */
  readonly bytes: string | null
}

/** Something a provider has stored, which a request goes on with. */
export interface StoredReference {
  /** The request's field that names it. */
  readonly param: string
  readonly id: string
}

/** A model that a provider may call as a tool, and what is held for it. */
export interface ToolModel {
  readonly model: string
  readonly uses: number
  /** Of one use. */
  readonly outputTokens: number
  /** Input tokens of one use, beside the conversation. */
  readonly besideTokens: number
}

export interface RequestFacts {
  readonly format: ApiFormat
  readonly endpoint: Endpoint
  /** The model as the client wrote it: bare, `provider/model`, or an alias. */
  readonly requestedModel: string
  /** The model's value in the body (quotes included), so that it alone can be replaced; null where the path carries the model. */
  readonly modelSpan: Span | null
  readonly stream: boolean
  /** The client itself asked for the usage event of an OpenAI-format stream. */
  readonly asksForUsage: boolean
  /** The value of `stream_options` in the body (braces included), null when absent. */
  readonly streamOptionsSpan: Span | null
  /** Most output tokens of one choice, as asked; null when the client names none, or zero, which is none. */
  readonly outputCeiling: number | null
  /** Most tokens of what it predicts of the answer: those that are not taken are billed as output, beside it. Absent = none. */
  readonly predictedTokens?: number
  /** How many answers may be produced: n (or best_of, candidateCount) × prompts. */
  readonly choices: number
  /** Whether the endpoint produces output tokens at all (embeddings and counts do not). */
  readonly producesOutput: boolean
  /** UTF-8 bytes of everything that can become input tokens: for the bound, the whole body. */
  readonly textBytes: number
  /** The tokens of its texts, once they have been counted because a limit was near. */
  readonly counted?: TextCount
  /** Input tokens where bytes say nothing of them: characters that are spoken, a recording's flat number. Absent = by the bytes. */
  readonly flatInputTokens?: number
  /** Output tokens where no ceiling can be named: those of images and of speech. Absent = by ceiling and choices. */
  readonly flatOutputTokens?: number
  /** Messages plus tools: each carries a fixed overhead. */
  readonly messages: number
  /** Images and files. */
  readonly attachments: number
  /** Those of the attachments that are images, to be reckoned by each model's rule. Absent = none. */
  readonly images?: readonly ImageFacts[]
  /** Pages of each attachment that is a document whose pages can be seen. Absent = none. */
  readonly documentPages?: readonly number[]
  /** The body leans on what the provider stores (earlier responses, files, URLs): its size says nothing. */
  readonly usesStoredInput: boolean
  /** What it asks to be served as that is priced apart, in the provider's words. Absent = nothing. */
  readonly serviceTiers?: readonly string[]
  /** Models that the provider may call as tools of the one that is asked. Absent = none. */
  readonly toolModels?: readonly ToolModel[]
  /** The provider may sum up a conversation of so many tokens, which reads all of it once more. Absent = it may not. */
  readonly compactsFrom?: number
  /** Searches of the web that the provider may run for it. Absent = none. */
  readonly webSearches?: number
  /** The same in files that it keeps. */
  readonly fileSearches?: number
  /** The raw body, forwarded byte for byte unless a listed change applies. */
  readonly body: Buffer
  readonly native?: NativeCall
  /** What the request leans on by its id. Absent = nothing. */
  readonly refersTo?: readonly StoredReference[]
  /** The provider is to keep the answer. */
  readonly keepsAnswer?: boolean
  readonly unmetered?: UnmeteredCall
  /** The body of a form, in the place of `body`, which is empty then. */
  readonly upload?: Upload
  /** The query string as sent, without the question mark. */
  readonly query: string
  readonly tags: readonly string[]
  readonly dryRun: boolean
}
