/** `POST /v1/audio/speech`: noise of a length that goes with the text, as one file or as events. */
import type { Usage } from '../usage/usage.ts'
import { type Answer, brokenDown, type Chunk, EVENT_STREAM, modelOf, type SimCall } from './call.ts'
import { textTokens } from './counting.ts'
import { errorEvent, Refused } from './errors.ts'
import { type JsonObject, parseObject } from './json.ts'
import { inputUsage } from './plan.ts'

const INPUT_MAX = 4_096
const BYTES_PER_CHARACTER = 64
const TYPES: Readonly<Record<string, string>> = {
  mp3: 'audio/mpeg',
  opus: 'audio/opus',
  aac: 'audio/aac',
  flac: 'audio/flac',
  wav: 'audio/wav',
  pcm: 'audio/pcm',
}

export function answerSpeech(call: SimCall): Answer {
  const body = parseObject(call.body)
  modelOf(call, body.model, 'speech')
  const { input, voice, response_format: format = 'mp3' } = body
  if (typeof input !== 'string' || input === '' || input.length > INPUT_MAX) {
    throw new Refused(400, `'input' must be a string of 1 to ${INPUT_MAX} characters.`, { param: 'input' })
  }
  if (typeof voice !== 'string') throw new Refused(400, "'voice' must be a string.", { param: 'voice' })
  const contentType = TYPES[String(format)]
  if (contentType === undefined) throw new Refused(400, 'Unknown format.', { param: 'response_format' })
  const sound = noise(input.length * BYTES_PER_CHARACTER)
  const usage: Usage = {
    ...inputUsage(call, textTokens(input)),
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: input.length,
  }
  if (body.stream_format === 'sse') return streamed(call, sound, usage)
  return { kind: 'whole', body: sound, contentType, tokens: usage.outputTokens, usage }
}

/** Every byte there is, over and over: whoever takes it for text spoils it. */
function noise(bytes: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, index) => (index * 167) & 0xff))
}

function streamed(call: SimCall, sound: Buffer, usage: Usage): Answer {
  call.entry.stream = true
  const { inputTokens, outputTokens } = usage
  const report = { input_tokens: inputTokens, output_tokens: outputTokens, total_tokens: inputTokens + outputTokens }
  const silent = call.settings.usage === 'none'
  const event = (data: JsonObject, rest: Partial<Chunk>): Chunk => ({
    text: `data: ${JSON.stringify(data)}\n\n`,
    tokens: 0,
    usage: false,
    ...rest,
  })
  const chunks = [
    event({ type: 'speech.audio.delta', audio: sound.toString('base64') }, { tokens: outputTokens }),
    event({ type: 'speech.audio.done', ...(silent ? {} : { usage: report }) }, { usage: !silent }),
  ]
  const failure = errorEvent('openai', brokenDown(), '')
  return { kind: 'stream', contentType: EVENT_STREAM, chunks: chunks.values(), contentChunks: 1, usage, failure }
}
