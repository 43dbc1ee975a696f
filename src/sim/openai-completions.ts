/** `POST /v1/completions`: the older text endpoint, which takes several prompts and makes candidates nobody sees (`best_of`). */
import { type Answer, brokenDown, type Chunk, EVENT_STREAM, modelOf, type SimCall } from './call.ts'
import { textTokens } from './counting.ts'
import { errorEvent } from './errors.ts'
import { at, type JsonObject, parseObject, wholeNumber } from './json.ts'
import { completionUsage, DONE } from './openai-chat.ts'
import { type Plan, plan, steps, usageAfter } from './plan.ts'
import { readTexts } from './texts.ts'

export function answerCompletion(call: SimCall): Answer {
  const body = parseObject(call.body)
  const model = modelOf(call, body.model, 'chat')
  const prompts = readTexts(body, 'prompt')
  const perPrompt = wholeNumber(body, 'n') ?? 1
  const answer = plan(call, model, {
    inputTokens: prompts.reduce((sum, prompt) => sum + textTokens(prompt), 0),
    ceiling: wholeNumber(body, 'max_tokens'),
    choices: perPrompt * prompts.length,
    generated: Math.max(perPrompt, wholeNumber(body, 'best_of') ?? 1) * prompts.length,
    json: null,
  })
  if (body.stream !== true) return collected(call, model.id, answer)
  call.entry.stream = true
  return {
    kind: 'stream',
    contentType: EVENT_STREAM,
    chunks: events(call, model.id, answer, at(body, 'stream_options', 'include_usage') === true),
    contentChunks: answer.chunks * answer.choices,
    usage: answer.usage,
    failure: errorEvent('openai', brokenDown(), call.mark),
  }
}

function head(call: SimCall, model: string): JsonObject {
  return { id: `cmpl-${call.mark}`, object: 'text_completion', created: Math.floor(call.at / 1000), model }
}

function collected(call: SimCall, model: string, { output, choices, usage }: Plan): Answer {
  const text = output.slice(0, output.tokens)
  const finish_reason = output.cut ? 'length' : 'stop'
  const body = {
    ...head(call, model),
    choices: Array.from({ length: choices }, (_, index) => ({ text, index, logprobs: null, finish_reason })),
  }
  const reported = call.settings.usage === 'none' ? '' : `,"usage":${completionUsage(usage)}`
  const json = `${JSON.stringify(body).slice(0, -1)}${reported}}`
  return { kind: 'whole', body: json, tokens: output.tokens * choices, usage }
}

function* events(call: SimCall, model: string, answer: Plan, usageAsked: boolean): Generator<Chunk, void> {
  const { output, choices, usage } = answer
  const report = call.settings.usage
  const start = `data: ${JSON.stringify(head(call, model)).slice(0, -1)},"choices":[`
  const ending = (reported: string) => `],"usage":${reported}}\n\n`
  const noUsage = usageAsked && report !== 'none' ? ending('null') : ']}\n\n'
  const choice = (index: number, text: string, finish: string | null) =>
    `{"text":"${text}","index":${index},"logprobs":null,"finish_reason":${JSON.stringify(finish)}}`
  let sent = 0
  for (const step of steps(answer)) {
    const tokens = step.to - step.from
    sent += tokens
    const carries = report === 'each' || (report === 'early' && step.last)
    const end = carries ? ending(completionUsage(step.last ? usage : usageAfter(usage, sent))) : noUsage
    const text = `${start}${choice(step.choice, output.json(step.from, step.to), null)}${end}`
    yield { text, tokens, usage: carries && step.last }
  }
  for (let index = 0; index < choices; index++) {
    const text = `${start}${choice(index, '', output.cut ? 'length' : 'stop')}${noUsage}`
    yield { text, tokens: 0, usage: false }
  }
  if (usageAsked && report !== 'none' && report !== 'early') {
    yield { text: `${start}${ending(completionUsage(usage))}`, tokens: 0, usage: true }
  }
  yield { text: DONE, tokens: 0, usage: false }
}
