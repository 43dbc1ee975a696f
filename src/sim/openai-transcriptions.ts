/** `POST /v1/audio/transcriptions` and `/translations`: says the sentence whatever it hears, one second for every 16,000 bytes. */
import type { Usage } from '../usage/usage.ts'
import { type Answer, brokenDown, type Chunk, EVENT_STREAM, modelOf, type SimCall } from './call.ts'
import { errorEvent, Refused } from './errors.ts'
import { parseForm } from './form.ts'
import type { JsonObject } from './json.ts'
import { inputUsage } from './plan.ts'
import { SENTENCE_TOKENS, words } from './text.ts'

const BYTES_PER_SECOND = 16_000
const TOKENS_PER_SECOND = 10
const FORMATS = ['json', 'verbose_json', 'text', 'srt', 'vtt']

export function answerTranscription(call: SimCall): Answer {
  const { fields, files } = parseForm(call)
  const { id } = modelOf(call, fields.model, 'transcription')
  const [bytes] = files
  if (bytes === undefined) throw new Refused(400, 'A file is needed.', { param: 'file' })
  const format = fields.response_format ?? 'json'
  if (!FORMATS.includes(String(format))) throw new Refused(400, 'Unknown format.', { param: 'response_format' })
  const seconds = Math.ceil(bytes / BYTES_PER_SECOND)
  const output = words(call.settings.outputTokens, SENTENCE_TOKENS)
  const usage: Usage = {
    ...inputUsage(call, seconds * TOKENS_PER_SECOND),
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: output.tokens,
  }
  const text = output.slice(0, output.tokens)
  const report = call.settings.usage === 'none' ? {} : { usage: usageOf(usage, id === 'whisper-1' ? seconds : null) }
  if (fields.stream === 'true') return streamed(call, usage, text, report)
  const plain = format !== 'json' && format !== 'verbose_json'
  const body = plain ? text : JSON.stringify({ text, ...report })
  return { kind: 'whole', body, contentType: plain ? 'text/plain' : 'application/json', tokens: output.tokens, usage }
}

/** Its older models are billed by time, and say so. */
function usageOf({ inputTokens, outputTokens }: Usage, seconds: number | null): JsonObject {
  if (seconds !== null) return { type: 'duration', seconds }
  return {
    type: 'tokens',
    input_tokens: inputTokens,
    input_token_details: { text_tokens: 0, audio_tokens: inputTokens },
    output_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  }
}

function streamed(call: SimCall, usage: Usage, text: string, report: JsonObject): Answer {
  call.entry.stream = true
  const event = (data: JsonObject, rest: Partial<Chunk>): Chunk => ({
    text: `data: ${JSON.stringify(data)}\n\n`,
    tokens: 0,
    usage: false,
    ...rest,
  })
  const chunks = [
    event({ type: 'transcript.text.delta', delta: text }, { tokens: usage.outputTokens }),
    event({ type: 'transcript.text.done', text, ...report }, { usage: Object.keys(report).length > 0 }),
  ]
  const failure = errorEvent('openai', brokenDown(), '')
  return { kind: 'stream', contentType: EVENT_STREAM, chunks: chunks.values(), contentChunks: 1, usage, failure }
}
