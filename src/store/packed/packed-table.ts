/**
 * Packed table: entities by the million, in columns instead of objects. What is asked for is made into an object, and is the same object
 * for as long as it is asked for often.
 *
 * To everybody else it is a map. How an entity lies in its columns is for each kind to say.
 */
import { HexColumn } from './hex-column.ts'
import { Recent } from './recent.ts'
import { RowIndex } from './row-index.ts'

/** Objects that are kept: as many as are used at once, and few beside a million. */
const LIVE_MAX = 20_000
const ROWS_MIN = 256

export abstract class PackedTable<E extends { readonly id: string }> implements ReadonlyMap<string, E> {
  readonly #ids = new HexColumn('uuid')
  readonly #index = new RowIndex(this.#ids)
  readonly #live = new Recent<number, E>(LIVE_MAX)
  readonly #free: number[] = []
  /** Rows that are or were in use, and those there is room for. */
  #rows = 0
  #capacity = 0
  #size = 0

  /** Makes room in the columns for `rows`. */
  protected abstract grow(rows: number): void
  /** Puts an entity into the columns of a row that has nothing in it. */
  protected abstract write(row: number, entity: E): void
  /** Takes out again what `write` has put in. */
  protected abstract clear(row: number): void
  protected abstract read(row: number, id: string): E

  get size(): number {
    return this.#size
  }

  /** Makes room for `rows`, and some that may follow, at once: to grow step by step copies everything again and again. */
  reserve(rows: number): void {
    this.#index.reserve(rows)
    if (rows > this.#capacity) this.#grow(rows + (rows >> 3))
  }

  has(id: string): boolean {
    return this.#rowOf(id) !== -1
  }

  get(id: string): E | undefined {
    const row = this.#rowOf(id)
    return row === -1 ? undefined : this.at(row)
  }

  set(id: string, entity: E): void {
    const words = this.#ids.intern(id)
    let row = this.#index.find(words)
    if (row === -1) {
      row = this.#take()
      this.#ids.put(row, words)
      this.#index.add(row)
      this.#size += 1
    } else {
      this.clear(row)
      this.#live.delete(row)
    }
    this.write(row, entity)
  }

  delete(id: string): boolean {
    const row = this.#rowOf(id)
    if (row === -1) return false
    this.clear(row)
    this.#live.delete(row)
    this.#index.remove(row)
    this.#ids.write(row, null)
    this.#free.push(row)
    this.#size -= 1
    return true
  }

  /** What lies in a row that is in use. */
  protected at(row: number): E {
    let entity = this.#live.get(row)
    if (entity === undefined) {
      entity = Object.freeze(this.read(row, this.#ids.read(row) as string))
      this.#live.set(row, entity)
    }
    return entity
  }

  *entries(): Generator<[string, E], undefined> {
    for (let row = 0; row < this.#rows; row += 1) {
      const id = this.#ids.read(row)
      // Passing by is no use: what is kept is for those that are.
      if (id !== null) yield [id, this.#live.get(row) ?? Object.freeze(this.read(row, id))]
    }
  }

  *keys(): Generator<string, undefined> {
    for (let row = 0; row < this.#rows; row += 1) {
      const id = this.#ids.read(row)
      if (id !== null) yield id
    }
  }

  *values(): Generator<E, undefined> {
    for (const [, entity] of this.entries()) yield entity
  }

  [Symbol.iterator](): Generator<[string, E], undefined> {
    return this.entries()
  }

  forEach(work: (entity: E, id: string, table: ReadonlyMap<string, E>) => void): void {
    for (const [id, entity] of this.entries()) work(entity, id, this)
  }

  #rowOf(id: string): number {
    return this.#index.find(this.#ids.wordsOf(id))
  }

  #take(): number {
    const row = this.#free.pop() ?? this.#rows++
    if (row >= this.#capacity) this.#grow(Math.max(ROWS_MIN, this.#capacity * 2))
    return row
  }

  #grow(rows: number): void {
    this.#capacity = rows
    this.#ids.grow(rows)
    this.grow(rows)
  }
}
