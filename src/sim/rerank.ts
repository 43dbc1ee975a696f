/** `POST /v1/rerank`, in the form that Jina, Voyage and vLLM have made of Cohere's: documents in the order of their length. */
import { type Answer, modelOf, type SimCall } from './call.ts'
import { textTokens } from './counting.ts'
import { Refused } from './errors.ts'
import { at, list, parseObject, wholeNumber } from './json.ts'
import { inputUsage } from './plan.ts'

export function answerRerank(call: SimCall): Answer {
  const body = parseObject(call.body)
  const model = modelOf(call, body.model, 'rerank')
  const { query } = body
  const documents = list(body, 'documents').map((document) => at(document, 'text') ?? document)
  if (typeof query !== 'string' || documents.length === 0 || !documents.every((text) => typeof text === 'string')) {
    throw new Refused(400, 'A query and at least one document are needed.', { param: 'documents' })
  }
  const counted = documents.reduce((sum, text) => sum + textTokens(text), textTokens(query))
  const ranked = documents
    .map((text, index) => ({
      index,
      relevance_score: text.length / (text.length + query.length + 1),
      document: { text },
    }))
    .sort((a, b) => b.relevance_score - a.relevance_score)
  const usage = { ...inputUsage(call, counted), cacheReadTokens: 0, cacheWriteTokens: 0 }
  const answer = {
    id: `rerank-${call.mark}`,
    model: model.id,
    results: ranked.slice(0, wholeNumber(body, 'top_n') ?? ranked.length),
    ...(call.settings.usage !== 'none' && { usage: { total_tokens: usage.inputTokens } }),
  }
  return { kind: 'whole', body: JSON.stringify(answer), tokens: 0, usage }
}
