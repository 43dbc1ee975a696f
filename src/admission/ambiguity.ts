/**
 * Ambiguity: what two parsers could read differently in a body that is valid JSON (CONTRACT 3.2): a governing field that is there
 * twice, or in another letter case. Governing is what decides model, size, number, form or price of the answer.
 */
import { type ScannedField, scanObject } from './body-scan.ts'
import type { Refusal } from './decision.ts'
import { REFUSED_NAMES } from './refused-fields.ts'
import type { ApiFormat } from './request-facts.ts'

/** Governing fields of the OpenAI and Anthropic formats, besides everything that begins with `max_`, and how they are written. */
const GOVERNING: ReadonlyMap<string, string> = byFoldedName(foldCase, [
  'model',
  'n',
  'best_of',
  'stream',
  'stream_options',
  'service_tier',
  'speed',
  'inference_geo',
  'background',
  'messages',
  'prompt',
  'input',
  'previous_response_id',
  'conversation',
  'documents',
  'query',
  'size',
  'quality',
  'partial_images',
  'frame_count',
  'output_format',
  'svg',
  'response_format',
  'stream_format',
  'tools',
  'context_management',
  'compaction',
  'prediction',
  ...REFUSED_NAMES,
])

/** Governing fields of the Gemini format, whose parser takes camelCase and snake_case for the same field. */
const GOVERNING_GOOGLE: ReadonlyMap<string, string> = byFoldedName(foldGoogle, [
  'model',
  'contents',
  'content',
  'requests',
  'generationConfig',
  'cachedContent',
  'serviceTier',
])
const GOVERNING_GENERATION_CONFIG = byFoldedName(foldGoogle, ['maxOutputTokens', 'candidateCount'])

/** How a governing field may be written, and what all its spellings have in common. */
interface Governing {
  readonly folded: string
  readonly spellings: readonly string[]
}

/** Names seen before are looked up: folding a name costs more than everything else here. */
const REMEMBERED_MAX = 1_000
const REMEMBERED_LENGTH_MAX = 64

/** Tells which names govern, and which of them are one field to the least particular parser. */
class FieldNames {
  readonly #fold: (name: string) => string
  readonly #spellings: (folded: string) => readonly string[] | null
  readonly #remembered = new Map<string, Governing | null>()

  constructor(fold: (name: string) => string, spellings: (folded: string) => readonly string[] | null) {
    this.#fold = fold
    this.#spellings = spellings
  }

  /** Null for a field that does not govern. */
  governing(name: string): Governing | null {
    const known = this.#remembered.get(name)
    if (known !== undefined) return known
    const folded = this.#fold(name)
    const spellings = this.#spellings(folded)
    const governing = spellings === null ? null : { folded, spellings }
    // Strangers name fields too: the table stops growing rather than forget the names that everybody uses.
    if (this.#remembered.size < REMEMBERED_MAX && name.length <= REMEMBERED_LENGTH_MAX) {
      this.#remembered.set(name, governing)
    }
    return governing
  }
}

const OWN_NAMES = new FieldNames(foldCase, (folded) => {
  const name = GOVERNING.get(folded) ?? (folded.startsWith('max_') ? folded : null)
  return name === null ? null : [name]
})
const STREAM_OPTIONS_NAMES = new FieldNames(foldCase, (folded) => [folded])
const GOOGLE_NAMES = new FieldNames(foldGoogle, (folded) => googleSpellings(GOVERNING_GOOGLE, folded))
const GENERATION_CONFIG_NAMES = new FieldNames(foldGoogle, (folded) =>
  googleSpellings(GOVERNING_GENERATION_CONFIG, folded),
)

/** Why a body is refused as ambiguous; null when it is not. `fields` are those of the whole body. */
export function ambiguityOf(body: Buffer, fields: readonly ScannedField[], format: ApiFormat): Refusal | null {
  const google = format === 'google'
  const refusal = ambiguityIn(fields, google ? GOOGLE_NAMES : OWN_NAMES, '')
  if (refusal !== null) return refusal
  // No other spelling has passed.
  const inner = google ? ['generationConfig', 'generation_config'] : ['stream_options']
  const field = fields.find(({ name }) => inner.includes(name))
  if (field === undefined) return null
  const scan = scanObject(body, field.start)
  if (!scan.ok) return null
  return ambiguityIn(scan.fields, google ? GENERATION_CONFIG_NAMES : STREAM_OPTIONS_NAMES, `${field.name}.`)
}

function ambiguityIn(fields: readonly ScannedField[], names: FieldNames, prefix: string): Refusal | null {
  const seen: string[] = []
  for (const { name } of fields) {
    const governing = names.governing(name)
    if (governing === null) continue
    const { folded, spellings } = governing
    if (seen.includes(folded)) return refusalFor('occurs twice in the body', prefix, governing)
    if (!spellings.includes(name)) return refusalFor('is written in another letter case', prefix, governing)
    seen.push(folded)
  }
  return null
}

function refusalFor(problem: string, prefix: string, { folded, spellings }: Governing): Refusal {
  const param = prefix + (spellings[0] ?? folded)
  return { code: 'invalid_request', message: `The field "${param}" ${problem}.`, param }
}

/** Upper case first: parsers that ignore letter case also take `ſ` for `s` and the Kelvin sign for `k`. */
function foldCase(name: string): string {
  return name.toUpperCase().toLowerCase()
}

function foldGoogle(name: string): string {
  return foldCase(name).replaceAll('_', '')
}

function byFoldedName(fold: (name: string) => string, names: readonly string[]): ReadonlyMap<string, string> {
  return new Map(names.map((name) => [fold(name), name]))
}

function googleSpellings(governing: ReadonlyMap<string, string>, folded: string): readonly string[] | null {
  const name = governing.get(folded)
  return name === undefined ? null : [name, snakeCase(name)]
}

/** `maxOutputTokens` → `max_output_tokens`: the second name that Google's parser takes. */
export function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
