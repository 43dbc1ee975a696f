/** Key table: virtual keys in columns, found by their id and by their hash. */
import type { VirtualKey } from '../entities.ts'
import { type FormKind, Forms } from './forms.ts'
import { grown } from './grown.ts'
import { HexColumn } from './hex-column.ts'
import { PackedTable } from './packed-table.ts'
import { RowIndex } from './row-index.ts'

/** What keys have in common. */
const FIELDS = [
  'managedBy',
  'active',
  'access',
  'allowedIps',
  'passthrough',
  'metadata',
  'rotatedAt',
  'previousHash',
  'previousUntil',
] as const satisfies readonly (keyof VirtualKey)[]

type KeyForm = Pick<VirtualKey, (typeof FIELDS)[number]>

const FORM: FormKind<VirtualKey, KeyForm> = {
  fields: FIELDS,
  has: (key, form) =>
    key.metadata === form.metadata &&
    key.access === form.access &&
    key.allowedIps === form.allowedIps &&
    key.active === form.active &&
    key.managedBy === form.managedBy &&
    key.passthrough === form.passthrough &&
    key.rotatedAt === form.rotatedAt &&
    key.previousHash === form.previousHash &&
    key.previousUntil === form.previousUntil,
}

/** Numbers that a row has in one column: when it was made and changed, and when it expires (NaN: never). */
const TIMES = 3

export class KeyTable extends PackedTable<VirtualKey> {
  readonly #forms = new Forms(FORM)
  readonly #hashes = new HexColumn('sha256')
  readonly #byHash = new RowIndex(this.#hashes)
  /** Hashes before a rotation, of the few keys in their grace → row. */
  readonly #byPreviousHash = new Map<string, number>()
  readonly #users = new HexColumn('uuid')
  readonly #teams = new HexColumn('uuid')
  readonly #customers = new HexColumn('uuid')
  readonly #names: string[] = []
  readonly #starts: string[] = []
  #form = new Uint32Array(0)
  #times = new Float64Array(0)

  /** The key that has this hash, else the one that had it before its last rotation. */
  byHash(hash: string): VirtualKey | undefined {
    const row = this.#byHash.find(this.#hashes.wordsOf(hash))
    if (row !== -1) return this.at(row)
    const rotated = this.#byPreviousHash.get(hash)
    return rotated === undefined ? undefined : this.at(rotated)
  }

  override reserve(rows: number): void {
    super.reserve(rows)
    this.#byHash.reserve(rows)
  }

  protected override grow(rows: number): void {
    for (const column of [this.#hashes, this.#users, this.#teams, this.#customers]) column.grow(rows)
    this.#form = grown(this.#form, rows)
    this.#times = grown(this.#times, rows * TIMES)
  }

  protected override write(row: number, key: VirtualKey): void {
    this.#form[row] = this.#forms.take(key)
    this.#times[row * TIMES] = key.createdAt
    this.#times[row * TIMES + 1] = key.updatedAt
    this.#times[row * TIMES + 2] = key.expiresAt ?? Number.NaN
    this.#names[row] = key.name
    this.#starts[row] = key.keyStart
    this.#users.write(row, key.userId)
    this.#teams.write(row, key.teamId)
    this.#customers.write(row, key.customerId)
    this.#own(row, key.hash)
    if (key.previousHash !== null) this.#byPreviousHash.set(key.previousHash, row)
  }

  protected override clear(row: number): void {
    const form = this.#form[row] as number
    const { previousHash } = this.#forms.at(form)
    if (previousHash !== null && this.#byPreviousHash.get(previousHash) === row) {
      this.#byPreviousHash.delete(previousHash)
    }
    if (this.#byHash.find(this.#hashes.wordsAt(row)) === row) this.#byHash.remove(row)
    this.#forms.release(form)
    this.#names[row] = ''
    this.#starts[row] = ''
  }

  /** A hash leads to the key that has it now, also while the change of its former owner is yet to come. */
  #own(row: number, hash: string): void {
    const words = this.#hashes.intern(hash)
    this.#hashes.put(row, words)
    const former = this.#byHash.find(words)
    if (former === -1) this.#byHash.add(row)
    else this.#byHash.replace(former, row)
  }

  protected override read(row: number, id: string): VirtualKey {
    const expiresAt = this.#times[row * TIMES + 2] as number
    return {
      ...this.#forms.at(this.#form[row] as number),
      id,
      createdAt: this.#times[row * TIMES] as number,
      updatedAt: this.#times[row * TIMES + 1] as number,
      name: this.#names[row] as string,
      hash: this.#hashes.read(row) as string,
      keyStart: this.#starts[row] as string,
      userId: this.#users.read(row),
      teamId: this.#teams.read(row),
      customerId: this.#customers.read(row),
      expiresAt: Number.isNaN(expiresAt) ? null : expiresAt,
    }
  }
}
