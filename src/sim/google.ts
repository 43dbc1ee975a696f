/** Gemini's generating methods: `:generateContent`, `:streamGenerateContent` (SSE or one JSON array) and `:countTokens`. */
import type { Usage } from '../usage/usage.ts'
import { type Answer, brokenDown, type Chunk, EVENT_STREAM, free, modelOf, type SimCall } from './call.ts'
import { conversationTokens } from './counting.ts'
import { errorBody, errorEvent } from './errors.ts'
import { at, type JsonObject, list, parseObject, wholeNumber } from './json.ts'
import { freeJson, sampleJson } from './json-sample.ts'
import { type ForcedTool, type Plan, plan, steps, usageAfter } from './plan.ts'

export function generateContent(call: SimCall): Answer {
  const { model, answer, tool } = read(call)
  const { output, choices, usage } = answer
  const parts = partsOf(answer, tool, 0, output.tokens)
  const candidates = Array.from({ length: choices }, (_, index) => candidate(index, parts, finishReason(answer)))
  const body = response(call, model, candidates, call.settings.usage === 'none' ? null : usage)
  return { kind: 'whole', body: JSON.stringify(body), tokens: output.tokens * choices, usage }
}

export function streamGenerateContent(call: SimCall): Answer {
  const { model, answer, tool } = read(call)
  call.entry.stream = true
  const sse = new URLSearchParams(call.query).get('alt') === 'sse'
  const contents = contentsOf(call, model, answer, tool)
  const id = call.mark
  return {
    kind: 'stream',
    contentType: sse ? EVENT_STREAM : 'application/json; charset=UTF-8',
    chunks: sse ? asEvents(contents) : asArray(contents),
    contentChunks: tool === null ? answer.chunks * answer.choices : answer.choices,
    usage: answer.usage,
    failure: sse ? errorEvent('google', brokenDown(), id) : `,\r\n${errorBody('google', brokenDown(), id)}]`,
  }
}

export function countContentTokens(call: SimCall): Answer {
  const body = parseObject(call.body)
  modelOf(call, call.pathModel, 'chat')
  const counted = countInput(at(body, 'generateContentRequest') ?? body)
  const totalTokens = call.settings.inputTokens ?? counted
  return free({ totalTokens, promptTokensDetails: [{ modality: 'TEXT', tokenCount: totalTokens }] })
}

function read(call: SimCall): { model: string; answer: Plan; tool: ForcedTool | null } {
  const body = parseObject(call.body)
  const model = modelOf(call, call.pathModel, 'chat')
  const config = at(body, 'generationConfig') ?? at(body, 'generation_config')
  const tool = forcedTool(body)
  const answer = plan(call, model, {
    inputTokens: countInput(body),
    ceiling: wholeNumber(config, 'maxOutputTokens', 'max_output_tokens'),
    choices: wholeNumber(config, 'candidateCount', 'candidate_count') ?? 1,
    json: tool === null ? jsonMode(config) : sampleJson(tool.schema),
  })
  // Gemini has no word for cache writes, so there are none to pay for.
  return { model: model.id, answer: { ...answer, usage: { ...answer.usage, cacheWriteTokens: 0 } }, tool }
}

function countInput(body: unknown): number {
  const system = at(body, 'systemInstruction') ?? at(body, 'system_instruction')
  return conversationTokens(list(body, 'contents'), [system], list(body, 'tools'))
}

function forcedTool(body: JsonObject): ForcedTool | null {
  const calling = at(body, 'toolConfig', 'functionCallingConfig')
  if (at(calling, 'mode') !== 'ANY') return null
  const allowed = list(calling, 'allowedFunctionNames')
  const declared = list(body, 'tools').flatMap((tool) => list(tool, 'functionDeclarations'))
  const tool = declared.find((one) => allowed.length === 0 || allowed.includes(at(one, 'name')))
  const name = at(tool, 'name')
  const schema = at(tool, 'parameters') ?? at(tool, 'parametersJsonSchema')
  return typeof name === 'string' ? { name, schema } : null
}

function jsonMode(config: unknown): string | null {
  if (at(config, 'responseMimeType') !== 'application/json') return null
  const schema = at(config, 'responseSchema') ?? at(config, 'responseJsonSchema')
  return schema === undefined ? freeJson() : sampleJson(schema)
}

function finishReason({ output }: Plan): string {
  return output.cut ? 'MAX_TOKENS' : 'STOP'
}

function candidate(index: number, parts: readonly JsonObject[], finishReason: string | null): JsonObject {
  return { content: { parts, role: 'model' }, ...(finishReason !== null && { finishReason }), index }
}

/** A function call is one part; arguments that were cut are no JSON, so there is none then. */
function partsOf({ output }: Plan, tool: ForcedTool | null, from: number, to: number): readonly JsonObject[] {
  if (tool !== null) {
    const args: unknown = output.cut ? null : JSON.parse(output.slice(0, output.tokens))
    return args === null ? [] : [{ functionCall: { name: tool.name, args } }]
  }
  return to > from ? [{ text: output.slice(from, to) }] : []
}

function usageOf(usage: Usage): JsonObject {
  const text = (tokenCount: number) => [{ modality: 'TEXT', tokenCount }]
  const { inputTokens, outputTokens, cacheReadTokens, reasoningTokens } = usage
  return {
    promptTokenCount: inputTokens,
    candidatesTokenCount: outputTokens - reasoningTokens,
    totalTokenCount: inputTokens + outputTokens,
    promptTokensDetails: text(inputTokens),
    ...(cacheReadTokens > 0 && {
      cachedContentTokenCount: cacheReadTokens,
      cacheTokensDetails: text(cacheReadTokens),
    }),
    ...(reasoningTokens > 0 && { thoughtsTokenCount: reasoningTokens }),
  }
}

function response(call: SimCall, model: string, candidates: readonly JsonObject[], usage: Usage | null): JsonObject {
  const reported = usage === null ? {} : { usageMetadata: usageOf(usage) }
  return { candidates, ...reported, modelVersion: model, responseId: call.mark }
}

interface Content extends Omit<Chunk, 'text'> {
  readonly json: string
}

/** The responses of a stream. As with the real ones, each carries the usage so far and the last one of a choice its end. */
function* contentsOf(call: SimCall, model: string, answer: Plan, tool: ForcedTool | null): Generator<Content, void> {
  const { output, choices, usage } = answer
  const report = call.settings.usage
  // What has no pieces of text, a function call or nothing at all, is one response per choice.
  const undivided = tool !== null || output.tokens === 0
  const divided = undivided ? { ...answer, chunks: 1 } : answer
  const total = divided.chunks * choices
  let sent = 0
  let index = 0
  for (const { choice, from, to, last } of steps(divided)) {
    sent += to - from
    index++
    const ends = to === output.tokens
    const early = report === 'early' && index === Math.max(1, total - 1)
    const carries = early || (report !== 'early' && report !== 'none')
    const soFar = last || early ? usage : usageAfter(usage, sent)
    const parts = partsOf(answer, tool, from, to)
    const content = [candidate(choice, parts, ends ? finishReason(answer) : null)]
    const json = JSON.stringify(response(call, model, content, carries ? soFar : null))
    yield { json, tokens: to - from, usage: carries && (last || early) }
  }
}

function* asEvents(contents: Iterable<Content>): Generator<Chunk, void> {
  for (const { json, tokens, usage } of contents) yield { text: `data: ${json}\r\n\r\n`, tokens, usage }
}

function* asArray(contents: Iterable<Content>): Generator<Chunk, void> {
  let before = '['
  for (const { json, tokens, usage } of contents) {
    yield { text: `${before}${json}`, tokens, usage }
    before = ',\r\n'
  }
  yield { text: ']', tokens: 0, usage: false }
}
