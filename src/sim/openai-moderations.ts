/** `POST /v1/moderations`: nothing is ever flagged, and nothing costs anything. */
import { type Answer, free, modelOf, type SimCall } from './call.ts'
import { Refused } from './errors.ts'
import { parseObject } from './json.ts'

const CATEGORIES = ['harassment', 'hate', 'illicit', 'self-harm', 'sexual', 'violence']

export function answerModerations(call: SimCall): Answer {
  const body = parseObject(call.body)
  const model = modelOf(call, body.model ?? 'omni-moderation-latest', 'moderation')
  const { input } = body
  if (typeof input !== 'string' && !(Array.isArray(input) && input.length > 0)) {
    throw new Refused(400, "'input' must be a string or a list of inputs.", { param: 'input' })
  }
  // A list of texts is judged one by one, a list of parts as one input.
  const texts = Array.isArray(input) && input.every((item) => typeof item === 'string') ? input : [input]
  const each = (value: unknown) => Object.fromEntries(CATEGORIES.map((name) => [name, value]))
  const results = texts.map(() => ({ flagged: false, categories: each(false), category_scores: each(0.000_01) }))
  return free({ id: `modr-${call.mark}`, model: model.id, results })
}
