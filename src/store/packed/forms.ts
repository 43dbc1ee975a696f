/**
 * Forms: what thousands of rows have in common, kept once. A row has the number of its form; a form that no row has any more is dropped.
 */

/** How an entity and its form belong together. */
export interface FormKind<E, F extends Partial<E>> {
  /** The fields of the form. */
  readonly fields: readonly (keyof F & keyof E)[]
  /** Those among them that follow from the others. */
  readonly following?: readonly (keyof F)[]
  /** Whether the entity has this form, as far as can be told without looking into lists and objects. Written out, since a start asks a million times. */
  readonly has: (entity: E, form: F) => boolean
}

interface Kept<F> {
  form: F
  readonly text: string
  rows: number
}

/** How many are compared before the text is made: rows of one kind come one after the other, or in turns. */
const RECENT_MAX = 16

export class Forms<E, F extends Partial<E>> {
  readonly #kind: FormKind<E, F>
  readonly #kept: Kept<F>[] = []
  readonly #byText = new Map<string, number>()
  readonly #free: number[] = []
  /** The latest first. */
  readonly #recent: number[] = []

  constructor(kind: FormKind<E, F>) {
    this.#kind = kind
  }

  /** How many there are. */
  get size(): number {
    return this.#byText.size
  }

  at(number: number): F {
    return (this.#kept[number] as Kept<F>).form
  }

  /** The number of the entity's form, for one row more. */
  take(entity: E): number {
    const number = this.#recently(entity) ?? this.#keep(entity)
    this.#toFront(number)
    const kept = this.#kept[number] as Kept<F>
    kept.rows += 1
    return number
  }

  /** For one row less. */
  release(number: number): void {
    const kept = this.#kept[number] as Kept<F>
    kept.rows -= 1
    if (kept.rows > 0) return
    this.#byText.delete(kept.text)
    this.#free.push(number)
    const at = this.#recent.indexOf(number)
    if (at !== -1) this.#recent.splice(at, 1)
  }

  #recently(entity: E): number | undefined {
    for (const number of this.#recent) if (this.#kind.has(entity, this.at(number))) return number
    return undefined
  }

  #keep(entity: E): number {
    const text = this.#textOf(entity)
    const form = this.#formOf(entity)
    const known = this.#byText.get(text)
    if (known !== undefined) {
      // With the lists and objects of the newcomer, which the next ones share.
      const kept = this.#kept[known] as Kept<F>
      kept.form = form
      return known
    }
    const number = this.#free.pop() ?? this.#kept.length
    this.#kept[number] = { form, text, rows: 0 }
    this.#byText.set(text, number)
    return number
  }

  #formOf(entity: E): F {
    return Object.fromEntries(this.#kind.fields.map((field) => [field, entity[field]])) as F
  }

  /** The same for entities of one form, different for others. */
  #textOf(entity: E): string {
    const { fields, following = [] } = this.#kind
    const values = fields.filter((field) => !following.includes(field)).map((field) => entity[field])
    // JSON has no form for a time that never comes.
    return JSON.stringify(values.map((value) => (typeof value === 'number' ? String(value) : value)))
  }

  #toFront(number: number): void {
    if (this.#recent[0] === number) return
    const at = this.#recent.indexOf(number)
    if (at !== -1) this.#recent.splice(at, 1)
    else if (this.#recent.length >= RECENT_MAX) this.#recent.pop()
    this.#recent.unshift(number)
  }
}
