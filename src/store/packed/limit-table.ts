/** Limit table: limits in columns, found by their id and by their scope. */
import { anchoredAt } from '../../units/window.ts'
import { type Limit, type LimitOverride, SCOPE_KINDS, type Scope } from '../entities.ts'
import { type FormKind, Forms } from './forms.ts'
import { grown } from './grown.ts'
import { HexColumn } from './hex-column.ts'
import { PackedTable } from './packed-table.ts'
import { RowIndex } from './row-index.ts'

/** What limits have in common. */
const FIELDS = [
  'managedBy',
  'metric',
  'window',
  'align',
  'timezone',
  'provider',
  'model',
  'mode',
  'alertAt',
  'countNumber',
  'spec',
  'invalid',
] as const satisfies readonly (keyof Limit)[]

type LimitForm = Pick<Limit, (typeof FIELDS)[number]>

const FORM: FormKind<Limit, LimitForm> = {
  fields: FIELDS,
  // From the texts but for its anchor, which is each limit's own.
  following: ['spec'],
  has: (limit, form) =>
    limit.metric === form.metric &&
    limit.window === form.window &&
    limit.align === form.align &&
    limit.provider === form.provider &&
    limit.model === form.model &&
    limit.alertAt === form.alertAt &&
    limit.countNumber === form.countNumber &&
    limit.mode === form.mode &&
    limit.timezone === form.timezone &&
    limit.managedBy === form.managedBy &&
    limit.invalid === form.invalid,
}

/** Numbers that a row has in one column: when it was made and changed, and its anchor. */
const TIMES = 3
const NO_ROW = -1

export class LimitTable extends PackedTable<Limit> {
  readonly #forms = new Forms(FORM)
  readonly #scopes = new HexColumn('uuid', true)
  /** The limit of each scope that came last; the others follow from there. */
  readonly #newest = new RowIndex(this.#scopes)
  /** Few have one. */
  readonly #overrides = new Map<number, LimitOverride>()
  #next = new Int32Array(0)
  #form = new Uint32Array(0)
  #times = new Float64Array(0)
  #max = new BigInt64Array(0)

  /** The limits of one scope, in the order in which they came. */
  ofScope({ kind, id }: Scope): readonly Limit[] {
    const limits: Limit[] = []
    let row = this.#newest.find(this.#scopes.wordsOf(id, SCOPE_KINDS.indexOf(kind)))
    for (; row !== NO_ROW; row = this.#next[row] as number) limits.push(this.at(row))
    return limits.reverse()
  }

  protected override grow(rows: number): void {
    this.#scopes.grow(rows)
    this.#next = grown(this.#next, rows)
    this.#form = grown(this.#form, rows)
    this.#times = grown(this.#times, rows * TIMES)
    this.#max = grown(this.#max, rows)
  }

  protected override write(row: number, limit: Limit): void {
    const { scope, createdAt, updatedAt, anchor, max, override } = limit
    this.#form[row] = this.#forms.take(limit)
    this.#times[row * TIMES] = createdAt
    this.#times[row * TIMES + 1] = updatedAt
    this.#times[row * TIMES + 2] = anchor
    this.#max[row] = max
    if (override !== null) this.#overrides.set(row, override)
    this.#link(row, scope)
  }

  protected override clear(row: number): void {
    this.#unlink(row)
    this.#forms.release(this.#form[row] as number)
    this.#overrides.delete(row)
  }

  protected override read(row: number, id: string): Limit {
    const form = this.#forms.at(this.#form[row] as number)
    const anchor = this.#times[row * TIMES + 2] as number
    return {
      ...form,
      id,
      scope: this.#scopeAt(row),
      createdAt: this.#times[row * TIMES] as number,
      updatedAt: this.#times[row * TIMES + 1] as number,
      max: this.#max[row] as bigint,
      anchor,
      override: this.#overrides.get(row) ?? null,
      spec: anchoredAt(form.spec, anchor),
    }
  }

  #scopeAt(row: number): Scope {
    return { kind: SCOPE_KINDS[this.#scopes.tagAt(row)], id: this.#scopes.read(row) } as Scope
  }

  /** Puts a row before the others of its scope. */
  #link(row: number, { kind, id }: Scope): void {
    const words = this.#scopes.intern(id, SCOPE_KINDS.indexOf(kind))
    this.#scopes.put(row, words)
    const newest = this.#newest.find(words)
    this.#next[row] = newest
    if (newest === NO_ROW) this.#newest.add(row)
    else this.#newest.replace(newest, row)
  }

  #unlink(row: number): void {
    const next = this.#next[row] as number
    const newest = this.#newest.find(this.#scopes.wordsAt(row))
    if (newest !== row) {
      let before = newest
      while (this.#next[before] !== row) before = this.#next[before] as number
      this.#next[before] = next
    } else if (next === NO_ROW) this.#newest.remove(row)
    else this.#newest.replace(row, next)
  }
}
