/** `POST /v1/embeddings`. The official SDK asks for base64 unless told otherwise, so both encodings matter. */
import { type Answer, modelOf, type SimCall } from './call.ts'
import { textTokens } from './counting.ts'
import { parseObject, wholeNumber } from './json.ts'
import { inputUsage } from './plan.ts'
import { readTexts } from './texts.ts'
import { base64Of, vectorOf } from './vectors.ts'

export function answerEmbeddings(call: SimCall): Answer {
  const body = parseObject(call.body)
  const model = modelOf(call, body.model, 'embedding')
  const inputs = readTexts(body, 'input')
  const dimensions = wholeNumber(body, 'dimensions') ?? model.dimensions
  const counted = inputs.reduce<number>((sum, input) => sum + textTokens(input), 0)
  const data = inputs.map((input, index) => {
    const vector = vectorOf(input, dimensions)
    const embedding = body.encoding_format === 'base64' ? base64Of(vector) : [...vector]
    return { object: 'embedding', index, embedding }
  })
  const usage = { ...inputUsage(call, counted), cacheReadTokens: 0, cacheWriteTokens: 0 }
  const answer = {
    object: 'list',
    data,
    model: model.id,
    ...(call.settings.usage !== 'none' && {
      usage: { prompt_tokens: usage.inputTokens, total_tokens: usage.inputTokens },
    }),
  }
  return { kind: 'whole', body: JSON.stringify(answer), tokens: 0, usage }
}
