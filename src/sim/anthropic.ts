/** `POST /v1/messages` and `/v1/messages/count_tokens`. */
import type { Usage } from '../usage/usage.ts'
import { type Answer, brokenDown, type Chunk, EVENT_STREAM, free, modelOf, type SimCall } from './call.ts'
import { conversationTokens } from './counting.ts'
import { errorEvent, Refused } from './errors.ts'
import { at, type JsonObject, list, parseObject, wholeNumber } from './json.ts'
import { sampleJson } from './json-sample.ts'
import { type ForcedTool, type Plan, plan, steps, usageAfter } from './plan.ts'

export function answerMessage(call: SimCall): Answer {
  const body = parseObject(call.body)
  const model = modelOf(call, body.model, 'chat')
  const ceiling = wholeNumber(body, 'max_tokens')
  if (ceiling === null) throw new Refused(400, 'max_tokens: Field required')
  const tool = forcedTool(body)
  const answer = plan(call, model, {
    inputTokens: countInput(body),
    ceiling,
    choices: 1,
    json: tool === null ? jsonMode(body) : sampleJson(tool.schema),
  })
  const { output, usage } = answer
  if (body.stream !== true) {
    const text = output.slice(0, output.tokens)
    const block = tool === null ? textBlock(text) : toolBlock(call, tool, output.cut ? {} : JSON.parse(text))
    const message = head(call, model.id, [block], stopReason(answer, tool))
    const reported = reports(call) ? { usage: usageOf(usage, usage.outputTokens) } : {}
    return { kind: 'whole', body: JSON.stringify({ ...message, ...reported }), tokens: output.tokens, usage }
  }
  call.entry.stream = true
  return {
    kind: 'stream',
    contentType: EVENT_STREAM,
    chunks: events(call, model.id, answer, tool),
    contentChunks: answer.chunks,
    usage,
    failure: errorEvent('anthropic', brokenDown(), `req_${call.mark}`),
  }
}

export function countMessageTokens(call: SimCall): Answer {
  const body = parseObject(call.body)
  modelOf(call, body.model, 'chat')
  return free({ input_tokens: call.settings.inputTokens ?? countInput(body) })
}

function countInput(body: JsonObject): number {
  return conversationTokens(list(body, 'messages'), [body.system], list(body, 'tools'))
}

function forcedTool(body: JsonObject): ForcedTool | null {
  const type = at(body.tool_choice, 'type')
  if (type !== 'any' && type !== 'tool') return null
  const named = at(body.tool_choice, 'name')
  const tool = list(body, 'tools').find((candidate) => type === 'any' || at(candidate, 'name') === named)
  const name = at(tool, 'name')
  return typeof name === 'string' ? { name, schema: at(tool, 'input_schema') } : null
}

function jsonMode(body: JsonObject): string | null {
  const format = at(body, 'output_config', 'format') ?? at(body, 'output_format')
  return at(format, 'type') === 'json_schema' ? sampleJson(at(format, 'schema')) : null
}

function reports(call: SimCall): boolean {
  return call.settings.usage !== 'none'
}

/** This format counts cache reads and writes beside `input_tokens`, not in it. */
function usageOf(usage: Usage, outputTokens: number): JsonObject {
  return {
    input_tokens: usage.inputTokens - usage.cacheReadTokens - usage.cacheWriteTokens,
    cache_creation_input_tokens: usage.cacheWriteTokens,
    cache_read_input_tokens: usage.cacheReadTokens,
    cache_creation: { ephemeral_5m_input_tokens: usage.cacheWriteTokens, ephemeral_1h_input_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { thinking_tokens: usage.reasoningTokens },
    server_tool_use: null,
    service_tier: 'standard',
  }
}

function stopReason({ output }: Plan, tool: ForcedTool | null): string {
  if (output.cut) return 'max_tokens'
  return tool === null ? 'end_turn' : 'tool_use'
}

function head(call: SimCall, model: string, content: readonly JsonObject[], stop_reason: string | null): JsonObject {
  const who = { id: `msg_${call.mark}`, type: 'message', role: 'assistant', model }
  return { ...who, content, stop_reason, stop_sequence: null, stop_details: null, container: null }
}

function textBlock(text: string): JsonObject {
  return { type: 'text', text }
}

function toolBlock(call: SimCall, tool: ForcedTool, input: unknown): JsonObject {
  return { type: 'tool_use', id: `toolu_${call.mark}`, name: tool.name, input, caller: { type: 'direct' } }
}

function* events(call: SimCall, model: string, answer: Plan, tool: ForcedTool | null): Generator<Chunk, void> {
  const { output, usage } = answer
  const report = call.settings.usage
  const event = (type: string, fields: JsonObject, carriesUsage = false): Chunk => ({
    text: `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`,
    tokens: 0,
    usage: carriesUsage,
  })
  const usageEvent = (stop_reason: string | null, soFar: Usage, final: boolean) => {
    const { server_tool_use, cache_creation, service_tier, ...reported } = usageOf(soFar, soFar.outputTokens)
    const delta = { stop_reason, stop_sequence: null, stop_details: null, container: null }
    return event('message_delta', reports(call) ? { delta, usage: reported } : { delta }, final && reports(call))
  }

  // The start knows all input and, as the real one, one token of output.
  const begun = reports(call) ? { usage: usageOf(usageAfter(usage, 0), 1) } : {}
  yield event('message_start', { message: { ...head(call, model, [], null), ...begun } })
  const block = tool === null ? textBlock('') : toolBlock(call, tool, {})
  yield event('content_block_start', { index: 0, content_block: block })
  yield event('ping', {})

  const [before, after] =
    tool === null ? ['{"type":"text_delta","text":"', '"}'] : ['{"type":"input_json_delta","partial_json":"', '"}']
  let sent = 0
  for (const { from, to, last } of steps(answer)) {
    if (report === 'early' && last) yield usageEvent(null, usage, true)
    const delta = `${before}${output.json(from, to)}${after}`
    const text = `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":${delta}}\n\n`
    yield { text, tokens: to - from, usage: false }
    sent += to - from
    if (report === 'each' && !last) yield usageEvent(null, usageAfter(usage, sent), false)
  }

  yield event('content_block_stop', { index: 0 })
  yield usageEvent(stopReason(answer, tool), usage, true)
  yield event('message_stop', {})
}
