/** Compaction: from how many tokens on a provider sums up the conversation, which reads all of it once more. None = it does not. */
import { fieldOf, objectsIn } from '../units/json-object.ts'
import type { BodyReader } from './body-reader.ts'
import type { Reading } from './reading.ts'

type Compaction = Pick<Reading, 'compactsFrom'>

/** Anthropic sums up nothing that is shorter; at OpenAI what is assumed where no threshold is named. */
const TOKENS_MIN = 50_000

/** Where one of the strategies or of the input's items asks for it. */
export function openaiCompaction(body: BodyReader): Compaction {
  if (objectsIn(body.any('input')).some(({ type }) => type === 'compaction_trigger')) return { compactsFrom: 0 }
  const strategies = objectsIn(body.any('context_management')).filter(({ type }) => /^compaction/.test(String(type)))
  if (strategies.length === 0) return {}
  const thresholds = strategies.map(({ compact_threshold: least }) => (typeof least === 'number' ? least : TOKENS_MIN))
  return { compactsFrom: Math.min(TOKENS_MIN, ...thresholds) }
}

/** Where one of the edits asks for it, or the request does nothing else: then the summary may be longer than the answer may be. */
export function anthropicCompaction(body: BodyReader): Compaction {
  if (body.has('compaction')) return { compactsFrom: 0 }
  const edits = objectsIn(fieldOf(body.any('context_management'), 'edits'))
  return edits.some(({ type }) => /^compact_/.test(String(type))) ? { compactsFrom: TOKENS_MIN } : {}
}
