/** `POST /v1/responses`: typed, numbered events; usage stands in the final response only. */
import type { Usage } from '../usage/usage.ts'
import { type Answer, brokenDown, type Chunk, EVENT_STREAM, modelOf, type SimCall } from './call.ts'
import { conversationTokens } from './counting.ts'
import { at, type JsonObject, list, parseObject, wholeNumber } from './json.ts'
import { freeJson, sampleJson } from './json-sample.ts'
import { type ForcedTool, type Plan, plan, steps } from './plan.ts'
import { checkPrevious, keepResponse } from './stored-responses.ts'

export function answerResponse(call: SimCall): Answer {
  const body = parseObject(call.body)
  const model = modelOf(call, body.model, 'chat')
  const tool = forcedTool(body)
  checkPrevious(call, body.previous_response_id)
  const messages = typeof body.input === 'string' ? [body.input] : list(body, 'input')
  const answer = plan(call, model, {
    inputTokens: conversationTokens(messages, [body.instructions], list(body, 'tools')),
    ceiling: wholeNumber(body, 'max_output_tokens'),
    choices: 1,
    json: tool === null ? jsonMode(body) : sampleJson(tool.schema),
  })
  const shape: Shape = { call, body, answer, tool }
  const { output, usage } = answer
  keepResponse(call, body, finalResponse(shape))
  if (body.stream !== true) {
    return { kind: 'whole', body: JSON.stringify(finalResponse(shape)), tokens: output.tokens, usage }
  }
  call.entry.stream = true
  const { message } = brokenDown()
  const failure = { type: 'error', code: 'server_error', message, param: null, sequence_number: 4 }
  return {
    kind: 'stream',
    contentType: EVENT_STREAM,
    chunks: events(shape),
    contentChunks: answer.chunks,
    usage,
    failure: `event: error\ndata: ${JSON.stringify(failure)}\n\n`,
  }
}

interface Shape {
  readonly call: SimCall
  readonly body: JsonObject
  readonly answer: Plan
  readonly tool: ForcedTool | null
}

function forcedTool(body: JsonObject): ForcedTool | null {
  const choice = body.tool_choice
  const named = at(choice, 'type') === 'function' ? at(choice, 'name') : undefined
  const required = choice === 'required' || at(choice, 'mode') === 'required'
  if (typeof named !== 'string' && !required) return null
  const functions = list(body, 'tools').filter((tool) => at(tool, 'type') === 'function')
  const tool = functions.find((candidate) => required || at(candidate, 'name') === named)
  const name = at(tool, 'name')
  return typeof name === 'string' ? { name, schema: at(tool, 'parameters') } : null
}

function jsonMode(body: JsonObject): string | null {
  const type = at(body, 'text', 'format', 'type')
  if (type === 'json_object') return freeJson()
  return type === 'json_schema' ? sampleJson(at(body, 'text', 'format', 'schema')) : null
}

function usageOf(usage: Usage): JsonObject {
  return {
    input_tokens: usage.inputTokens,
    input_tokens_details: { cached_tokens: usage.cacheReadTokens, cache_write_tokens: usage.cacheWriteTokens },
    output_tokens: usage.outputTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.inputTokens + usage.outputTokens,
  }
}

function response({ call, body }: Shape, status: string, output: readonly JsonObject[], rest: JsonObject): JsonObject {
  return {
    id: `resp_${call.mark}`,
    object: 'response',
    created_at: Math.floor(call.at / 1000),
    status,
    background: false,
    completed_at: status === 'completed' ? Math.floor(call.at / 1000) : null,
    error: null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    model: body.model,
    output,
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    reasoning: { effort: null, summary: null },
    service_tier: 'default',
    store: body.store ?? true,
    temperature: body.temperature ?? 1,
    text: body.text ?? { format: { type: 'text' } },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools ?? [],
    top_p: body.top_p ?? 1,
    truncation: body.truncation ?? 'disabled',
    metadata: body.metadata ?? {},
    ...rest,
  }
}

function finalStatus({ answer }: Shape): 'completed' | 'incomplete' {
  return answer.output.cut ? 'incomplete' : 'completed'
}

function finalResponse(shape: Shape): JsonObject {
  const { call, answer } = shape
  const text = answer.output.slice(0, answer.output.tokens)
  const usage = call.settings.usage === 'none' ? {} : { usage: usageOf(answer.usage) }
  return response(shape, finalStatus(shape), [item(shape, finalStatus(shape), text)], usage)
}

function textPart(text: string): JsonObject {
  return { type: 'output_text', annotations: [], logprobs: [], text }
}

/** The one output item: a message, or a function call. It has no content part while it is in progress. */
function item({ call, tool }: Shape, status: string, text: string): JsonObject {
  if (tool !== null) {
    const ids = { id: `fc_${call.mark}`, type: 'function_call', status }
    return { ...ids, arguments: text, call_id: `call_${call.mark}`, name: tool.name }
  }
  const content = status === 'in_progress' ? [] : [textPart(text)]
  return { id: `msg_${call.mark}`, type: 'message', status, role: 'assistant', content }
}

function* events(shape: Shape): Generator<Chunk, void> {
  const { answer, call, tool } = shape
  const { output } = answer
  const whole = output.slice(0, output.tokens)
  const empty = item(shape, 'in_progress', '')
  const where = { item_id: empty.id, output_index: 0 }
  const part = { ...where, content_index: 0 }
  let number = 0
  const event = (type: string, fields: JsonObject): Chunk => ({
    text: `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: number++, ...fields })}\n\n`,
    tokens: 0,
    usage: false,
  })

  const begun = response(shape, 'in_progress', [], { usage: null })
  yield event('response.created', { response: begun })
  yield event('response.in_progress', { response: begun })
  yield event('response.output_item.added', { output_index: 0, item: empty })
  if (tool === null) yield event('response.content_part.added', { ...part, part: textPart('') })

  const delta = tool === null ? 'response.output_text.delta' : 'response.function_call_arguments.delta'
  const place = JSON.stringify(tool === null ? { ...part, logprobs: [] } : where).slice(1, -1)
  for (const { from, to } of steps(answer)) {
    const json = `{"type":"${delta}","sequence_number":${number++},${place},"delta":"${output.json(from, to)}"}`
    yield { text: `event: ${delta}\ndata: ${json}\n\n`, tokens: to - from, usage: false }
  }

  if (tool === null) {
    yield event('response.output_text.done', { ...part, text: whole, logprobs: [] })
    yield event('response.content_part.done', { ...part, part: textPart(whole) })
  } else {
    yield event('response.function_call_arguments.done', { ...where, name: tool.name, arguments: whole })
  }
  yield event('response.output_item.done', { output_index: 0, item: item(shape, finalStatus(shape), whole) })
  const last = event(`response.${finalStatus(shape)}`, { response: finalResponse(shape) })
  yield { ...last, usage: call.settings.usage !== 'none' }
}
