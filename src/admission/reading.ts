/** Reading: what one format's reader finds out about a request; read-facts.ts adds what is the same for all. */
import type { RequestFacts } from './request-facts.ts'

export interface Reading
  extends Pick<
    RequestFacts,
    | 'requestedModel'
    | 'stream'
    | 'asksForUsage'
    | 'outputCeiling'
    | 'predictedTokens'
    | 'choices'
    | 'producesOutput'
    | 'messages'
    | 'flatInputTokens'
    | 'flatOutputTokens'
    | 'refersTo'
    | 'keepsAnswer'
    | 'serviceTiers'
    | 'webSearches'
    | 'fileSearches'
    | 'compactsFrom'
    | 'toolModels'
  > {
  /** The body's field that carries the model; null where the path does. */
  readonly modelField: string | null
}
