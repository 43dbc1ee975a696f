/** Gemini's `:embedContent` and `:batchEmbedContents`; its own SDK uses only the second. */
import type { Usage } from '../usage/usage.ts'
import { type Answer, modelOf, type SimCall } from './call.ts'
import { textTokens } from './counting.ts'
import { Refused } from './errors.ts'
import { at, type JsonObject, list, parseObject, wholeNumber } from './json.ts'
import type { SimModel } from './models.ts'
import { inputUsage } from './plan.ts'
import { vectorOf } from './vectors.ts'

const REQUESTS_MAX = 100

export function embedContent(call: SimCall): Answer {
  const body = parseObject(call.body)
  const model = modelOf(call, call.pathModel, 'embedding')
  const { embedding, tokens } = embed(body, model)
  return answer(call, { embedding }, tokens)
}

export function batchEmbedContents(call: SimCall): Answer {
  const body = parseObject(call.body)
  const model = modelOf(call, call.pathModel, 'embedding')
  const requests = list(body, 'requests')
  if (requests.length === 0 || requests.length > REQUESTS_MAX) {
    throw new Refused(400, `A batch must hold 1 to ${REQUESTS_MAX} requests.`)
  }
  const made = requests.map((request) => embed(request, model))
  const embeddings = made.map(({ embedding }) => embedding)
  return answer(
    call,
    { embeddings },
    made.reduce((sum, { tokens }) => sum + tokens, 0),
  )
}

function embed(request: unknown, model: SimModel): { embedding: JsonObject; tokens: number } {
  const parts = list(at(request, 'content'), 'parts')
  const text = parts.map((part) => at(part, 'text')).filter((piece) => typeof piece === 'string')
  if (text.length === 0) throw new Refused(400, 'content.parts must hold text.')
  const input = text.join('')
  const dimensions = wholeNumber(request, 'outputDimensionality', 'output_dimensionality') ?? model.dimensions
  return { embedding: { values: [...vectorOf(input, dimensions)] }, tokens: textTokens(input) }
}

function answer(call: SimCall, embedded: JsonObject, counted: number): Answer {
  const usage: Usage = { ...inputUsage(call, counted), cacheReadTokens: 0, cacheWriteTokens: 0 }
  const promptTokenCount = usage.inputTokens
  const reported = call.settings.usage === 'none' ? {} : { usageMetadata: { promptTokenCount } }
  return { kind: 'whole', body: JSON.stringify({ ...embedded, ...reported }), tokens: 0, usage }
}
