/**
 * Row index: finds the row of a text in a hex column. A hash table with linear probing; a cell is a row's number and its hash, eight bytes.
 * With the hash at hand it is one place in memory that a look-up for a new text goes to, and growing reads no column.
 */
import type { HexColumn, Words } from './hex-column.ts'

const CELLS_MIN = 1_024
/** Cells for each row, at least: fuller tables are slow. */
const CELLS_PER_ROW = 1.5

export class RowIndex {
  readonly #column: HexColumn
  /** The row's number + 1, or 0, and its hash. */
  #cells = new Uint32Array(2 * CELLS_MIN)
  /** The number of cells, a power of two, less one. */
  #mask = CELLS_MIN - 1
  #size = 0

  constructor(column: HexColumn) {
    this.#column = column
  }

  /** Makes room for `rows` at once. */
  reserve(rows: number): void {
    let cells = this.#mask + 1
    while (rows * CELLS_PER_ROW >= cells) cells *= 2
    if (cells > this.#mask + 1) this.#grow(cells)
  }

  /** A row with these words; -1 where there is none. */
  find(words: Words | null): number {
    if (words === null) return -1
    const hash = this.#column.hashOf(words)
    for (let at = hash & this.#mask; ; at = (at + 1) & this.#mask) {
      const row = (this.#cells[2 * at] as number) - 1
      if (row === -1) return -1
      if (this.#cells[2 * at + 1] === hash && this.#column.matches(row, words)) return row
    }
  }

  /** Takes in a row that has been written. */
  add(row: number): void {
    this.#size += 1
    if (this.#size * CELLS_PER_ROW > this.#mask) this.#grow(2 * (this.#mask + 1))
    this.#place(row + 1, this.#column.hashAt(row))
  }

  /** Before the row is written again. */
  remove(row: number): void {
    const cells = this.#cells
    let hole = this.#cellOf(row)
    // What was put behind it because its cell was taken moves up, so that nobody stops looking here.
    for (let at = (hole + 1) & this.#mask; cells[2 * at] !== 0; at = (at + 1) & this.#mask) {
      const hash = cells[2 * at + 1] as number
      if (((at - hash) & this.#mask) < ((at - hole) & this.#mask)) continue
      cells[2 * hole] = cells[2 * at] as number
      cells[2 * hole + 1] = hash
      hole = at
    }
    cells[2 * hole] = 0
    this.#size -= 1
  }

  /** Puts a row of the same text in the place of another. */
  replace(row: number, by: number): void {
    this.#cells[2 * this.#cellOf(row)] = by + 1
  }

  #cellOf(row: number): number {
    let at = this.#column.hashAt(row) & this.#mask
    while (this.#cells[2 * at] !== row + 1) {
      if (this.#cells[2 * at] === 0) throw new Error(`row ${row} is not in the index`)
      at = (at + 1) & this.#mask
    }
    return at
  }

  #place(cell: number, hash: number): void {
    let at = hash & this.#mask
    while (this.#cells[2 * at] !== 0) at = (at + 1) & this.#mask
    this.#cells[2 * at] = cell
    this.#cells[2 * at + 1] = hash
  }

  #grow(to: number): void {
    const cells = this.#cells
    this.#cells = new Uint32Array(2 * to)
    this.#mask = to - 1
    for (let at = 0; at < cells.length; at += 2) {
      if (cells[at] !== 0) this.#place(cells[at] as number, cells[at + 1] as number)
    }
  }
}
