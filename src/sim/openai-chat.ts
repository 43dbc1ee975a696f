/** `POST /v1/chat/completions`. */
import type { Usage } from '../usage/usage.ts'
import { type Answer, brokenDown, type Chunk, EVENT_STREAM, modelOf, type SimCall } from './call.ts'
import { conversationTokens } from './counting.ts'
import { errorEvent } from './errors.ts'
import { at, type JsonObject, list, parseObject, wholeNumber } from './json.ts'
import { freeJson, sampleJson } from './json-sample.ts'
import { type ForcedTool, type Plan, plan, steps, usageAfter } from './plan.ts'

export const DONE = 'data: [DONE]\n\n'
const SERVED_BY = '"service_tier":"default","system_fingerprint":"fp_5180c0de51"'

export function answerChat(call: SimCall): Answer {
  const body = parseObject(call.body)
  const model = modelOf(call, body.model, 'chat')
  const tool = forcedTool(body)
  const answer = plan(call, model, {
    inputTokens: conversationTokens(list(body, 'messages'), [], list(body, 'tools')),
    ceiling: wholeNumber(body, 'max_completion_tokens', 'max_tokens'),
    choices: wholeNumber(body, 'n') ?? 1,
    json: tool === null ? jsonMode(body) : sampleJson(tool.schema),
  })
  if (body.stream !== true) return collected(call, model.id, answer, tool)
  call.entry.stream = true
  return {
    kind: 'stream',
    contentType: EVENT_STREAM,
    chunks: events(call, model.id, answer, tool, at(body, 'stream_options', 'include_usage') === true),
    contentChunks: answer.chunks * answer.choices,
    usage: answer.usage,
    failure: errorEvent('openai', brokenDown(), call.mark),
  }
}

function forcedTool(body: JsonObject): ForcedTool | null {
  const choice = body.tool_choice
  const named = at(choice, 'function', 'name')
  const tools = list(body, 'tools').filter((tool) => at(tool, 'type') === 'function')
  const required = choice === 'required' || at(choice, 'allowed_tools', 'mode') === 'required'
  if (typeof named !== 'string' && !required) return null
  const tool = tools.find((candidate) => required || at(candidate, 'function', 'name') === named)
  const name = at(tool, 'function', 'name')
  return typeof name === 'string' ? { name, schema: at(tool, 'function', 'parameters') } : null
}

function jsonMode(body: JsonObject): string | null {
  const type = at(body, 'response_format', 'type')
  if (type === 'json_object') return freeJson()
  return type === 'json_schema' ? sampleJson(at(body, 'response_format', 'json_schema', 'schema')) : null
}

/** Usage in the words of chat and text completions, as JSON. Put together by hand, like all that benchmarks ask for most. */
export function completionUsage(usage: Usage): string {
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens } = usage
  return (
    `{"prompt_tokens":${inputTokens},"completion_tokens":${outputTokens},"total_tokens":${inputTokens + outputTokens},` +
    `"prompt_tokens_details":{"cached_tokens":${cacheReadTokens},"cache_write_tokens":${cacheWriteTokens},"audio_tokens":0},` +
    `"completion_tokens_details":{"reasoning_tokens":${reasoningTokens},"audio_tokens":0,` +
    '"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}'
  )
}

function finishReason({ output }: Plan, tool: ForcedTool | null): string {
  if (output.cut) return 'length'
  return tool === null ? 'stop' : 'tool_calls'
}

/** The beginning of each body and chunk, up to its choices. */
function head(call: SimCall, object: string, model: string): string {
  const id = `"id":"chatcmpl-${call.mark}","object":"${object}","created":${Math.floor(call.at / 1000)}`
  return `{${id},"model":${JSON.stringify(model)},${SERVED_BY},"choices":[`
}

function collected(call: SimCall, model: string, answer: Plan, tool: ForcedTool | null): Answer {
  const { output, usage } = answer
  const text = `"${output.json(0, output.tokens)}"`
  const end = `"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"${finishReason(answer, tool)}"}`
  let choices = ''
  for (let index = 0; index < answer.choices; index++) {
    const said =
      tool === null ? `"content":${text}` : `"content":null,"tool_calls":[{${toolCall(call, index, tool, text)}}]`
    choices += `${index === 0 ? '' : ','}{"index":${index},"message":{"role":"assistant",${said},${end}`
  }
  const reported = call.settings.usage === 'none' ? '' : `,"usage":${completionUsage(usage)}`
  const body = `${head(call, 'chat.completion', model)}${choices}]${reported}}`
  return { kind: 'whole', body, tokens: output.tokens * answer.choices, usage }
}

/** The fields of a tool call; `args` is the JSON string that holds the arguments' JSON. */
function toolCall(call: SimCall, choice: number, { name }: ForcedTool, args: string): string {
  const called = `"function":{"name":${JSON.stringify(name)},"arguments":${args}}`
  return `"id":"call_${call.mark}${choice}","type":"function",${called}`
}

function* events(
  call: SimCall,
  model: string,
  answer: Plan,
  tool: ForcedTool | null,
  usageAsked: boolean,
): Generator<Chunk, void> {
  const { output, choices } = answer
  const report = call.settings.usage
  const ending = (usage: string) => `],"usage":${usage}}\n\n`
  const open = `data: ${head(call, 'chat.completion.chunk', model)}`
  const noUsage = usageAsked && report !== 'none' ? ending('null') : ']}\n\n'
  const around = (choice: number, delta: string, finish: string, end: string) =>
    `${open}{"index":${choice},"delta":${delta},"logprobs":null,"finish_reason":${finish}}${end}`

  for (let choice = 0; choice < choices; choice++) {
    const said =
      tool === null ? '"content":""' : `"content":null,"tool_calls":[{"index":0,${toolCall(call, choice, tool, '""')}}]`
    const delta = `{"role":"assistant",${said},"refusal":null}`
    yield { text: around(choice, delta, 'null', noUsage), tokens: 0, usage: false }
  }

  const [before, after] = tool === null ? ['{"content":"', '"}'] : TOOL_DELTA
  let sent = 0
  for (const { choice, from, to, last } of steps(answer)) {
    sent += to - from
    const carries = report === 'each' || (report === 'early' && last)
    const end = carries ? ending(completionUsage(last ? answer.usage : usageAfter(answer.usage, sent))) : noUsage
    const text = around(choice, `${before}${output.json(from, to)}${after}`, 'null', end)
    yield { text, tokens: to - from, usage: carries && last }
  }

  for (let choice = 0; choice < choices; choice++) {
    yield { text: around(choice, '{}', `"${finishReason(answer, tool)}"`, noUsage), tokens: 0, usage: false }
  }
  if (usageAsked && report !== 'none' && report !== 'early') {
    yield { text: `${open}${ending(completionUsage(answer.usage))}`, tokens: 0, usage: true }
  }
  yield { text: DONE, tokens: 0, usage: false }
}

const TOOL_DELTA = ['{"tool_calls":[{"index":0,"function":{"arguments":"', '"}}]}'] as const
