/**
 * Body reader: typed access to the fields of a body. The first field of a wrong type becomes the refusal; readers go on with an
 * empty value, so that the reading of a format stays a plain list of fields.
 */
import { isObject, type JsonObject } from '../units/json-object.ts'
import { tierWord } from '../usage/usage.ts'
import type { Refusal } from './decision.ts'

const MODEL_LENGTH_MAX = 256

export class BodyReader {
  readonly value: JsonObject
  /** Where a refused field stands, such as `generationConfig.`; empty at the top. */
  readonly #prefix: string
  /** The reader of the whole body, which keeps the refusal. */
  readonly #root: BodyReader
  #refusal: Refusal | null = null

  constructor(value: JsonObject, prefix = '', root?: BodyReader) {
    this.value = value
    this.#prefix = prefix
    this.#root = root ?? this
  }

  /** Why the body is refused; null while nothing has been wrong. */
  get refusal(): Refusal | null {
    return this.#root.#refusal
  }

  /** Whether the field is there and not null. */
  has(name: string): boolean {
    return this.value[name] !== undefined && this.value[name] !== null
  }

  /** Refuses the body for one of its fields. The first refusal counts. */
  reject(name: string, message: string): void {
    this.#root.#refusal ??= { code: 'invalid_request', message, param: this.#prefix + name }
  }

  /** A reader of an object inside the body; of an empty one when it is absent. */
  nested(name: string): BodyReader {
    return new BodyReader(this.object(name), `${this.#prefix}${name}.`, this.#root)
  }

  /** The model's name, from this field. */
  model(name = 'model'): string {
    const model = this.value[name]
    if (model === undefined) this.reject(name, `The field "${this.#prefix}${name}" is missing.`)
    else if (typeof model !== 'string') this.reject(name, `The field "${this.#prefix}${name}" must be a string.`)
    else {
      const problem = modelProblem(model)
      if (problem === null) return model
      this.reject(name, problem)
    }
    return ''
  }

  boolean(name: string): boolean {
    if (!this.has(name)) return false
    const value = this.value[name]
    if (typeof value !== 'boolean') this.reject(name, `The field "${this.#prefix}${name}" must be true or false.`)
    return value === true
  }

  /** A ceiling or a count; null when absent. */
  count(name: string): number | null {
    if (!this.has(name)) return null
    const value = this.value[name]
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    this.reject(name, `The field "${this.#prefix}${name}" must be an integer from 0 to ${Number.MAX_SAFE_INTEGER}.`)
    return null
  }

  /** The largest of several ceilings that are named; null when none is. */
  ceiling(...names: readonly string[]): number | null {
    let largest: number | null = null
    for (const name of names) {
      const ceiling = this.count(name)
      if (ceiling !== null) largest = Math.max(largest ?? 0, ceiling)
    }
    return largest
  }

  /** Checks every ceiling (`max_…`) of the body, also those that this endpoint does not read. */
  checkCeilings(): void {
    for (const name of Object.keys(this.value)) if (name.startsWith('max_')) this.count(name)
  }

  /** The elements of an array; none when absent. */
  list(name: string): readonly unknown[] {
    if (!this.has(name)) return []
    const value = this.value[name]
    if (Array.isArray(value)) return value
    this.reject(name, `The field "${this.#prefix}${name}" must be an array.`)
    return []
  }

  object(name: string): JsonObject {
    if (!this.has(name)) return {}
    const value = this.value[name]
    if (isObject(value)) return value
    this.reject(name, `The field "${this.#prefix}${name}" must be an object.`)
    return {}
  }

  /** Words that a request may be priced by, from fields that hold one each. What is none may be a number to its provider, of a dearer tier. */
  words(...names: readonly string[]): { readonly serviceTiers?: readonly string[] } {
    const words: string[] = []
    for (const name of names) {
      if (!this.has(name)) continue
      const word = this.value[name]
      if (typeof word === 'string') words.push(tierWord(word))
      else this.reject(name, `The field "${this.#prefix}${name}" must be a string.`)
    }
    return words.length === 0 ? {} : { serviceTiers: words }
  }

  /** A field of any type. */
  any(name: string): unknown {
    return this.value[name]
  }
}

/** What is wrong with a model name, in words; null when nothing is. */
export function modelProblem(model: string): string | null {
  if (model.length === 0) return 'The model name is empty.'
  if (model.length > MODEL_LENGTH_MAX) return `The model name is longer than ${MODEL_LENGTH_MAX} characters.`
  // The name goes into log lines, URLs and rows, which take neither control characters nor half characters.
  if (/\p{Cc}/u.test(model) || !model.isWellFormed()) return 'The model name has characters that no name has.'
  // Providers trim what access lists and limits compare to the letter: a name with a blank would be another name here only.
  return /\s/u.test(model) ? 'The model name has a blank in it.' : null
}
