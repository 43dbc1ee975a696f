/** Packed tables: whatever is done to them, they answer as plain maps would. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Limit, SCOPE_KINDS, type Scope, type VirtualKey } from '../../src/store/entities.ts'
import { Forms } from '../../src/store/packed/forms.ts'
import { HexColumn } from '../../src/store/packed/hex-column.ts'
import { KeyTable } from '../../src/store/packed/key-table.ts'
import { LimitTable } from '../../src/store/packed/limit-table.ts'
import { Recent } from '../../src/store/packed/recent.ts'
import { RowIndex } from '../../src/store/packed/row-index.ts'
import { aLimit, aVirtualKey } from '../helpers/entities.ts'

const INT64_MAX = 2n ** 63n - 1n

/** Few, so that they come again and again; some are no ids as Postgres writes them. */
const ids = fc.constantFrom(
  ...Array.from({ length: 6 }, (_, n) => `01920000-0000-7000-8000-00000000000${n}`),
  ...['ffffffff-ffff-ffff-ffff-ffffffffffff', '00000000-0000-0000-0000-000000000000'],
  ...['01920000-0000-7000-8000-00000000000A', 'a', '', '01920000-0000-7000-8000+000000000000'],
)
const owners = fc.oneof(fc.constant(null), ids)
const times = fc.constantFrom(0, 1_700_000_000_000, 1_700_000_000_001.5, Number.POSITIVE_INFINITY)
const hashes = fc.constantFrom(
  '0'.repeat(64),
  'f'.repeat(64),
  'a1'.repeat(32),
  '0b'.repeat(32),
  'A1'.repeat(32),
  'hash',
)

const keys: fc.Arbitrary<VirtualKey> = fc
  .record({
    id: ids,
    name: fc.string(),
    hash: hashes,
    keyStart: fc.string(),
    userId: owners,
    teamId: owners,
    customerId: owners,
    createdAt: times,
    updatedAt: times,
    managedBy: fc.constantFrom('api' as const, 'file' as const),
    active: fc.boolean(),
    expiresAt: fc.option(times),
    access: fc.option(
      fc.array(
        fc.record({
          provider: fc.constantFrom('openai', '*'),
          models: fc.option(fc.array(fc.constantFrom('gpt*', 'o1'), { maxLength: 2 })),
          blockedModels: fc.constant([]),
          keyIds: fc.constant(null),
          weight: fc.option(fc.constantFrom(0, 0.5)),
        }),
        { maxLength: 2 },
      ),
    ),
    allowedIps: fc.constantFrom(null, [], ['10.0.0.0/8'], ['10.0.0.0/8', '::1']),
    passthrough: fc.boolean(),
    metadata: fc.constantFrom({}, { a: 1 }, { a: [null, { b: 'x' }] }, { a: '1' }),
    rotatedAt: fc.option(times),
    previousHash: fc.option(hashes),
    previousUntil: fc.option(times),
  })
  .map((fields) => aVirtualKey(fields))

const scopes: fc.Arbitrary<Scope> = fc
  .tuple(fc.constantFrom(...SCOPE_KINDS), ids)
  .map(([kind, id]) => (kind === 'global' ? { kind, id: null } : { kind, id }))

const limits: fc.Arbitrary<Limit> = fc
  .record({
    id: ids,
    scope: scopes,
    max: fc.bigInt(0n, INT64_MAX),
    metric: fc.constantFrom('cost' as const, 'tokens' as const),
    text: fc.constantFrom(
      { window: '1m', align: 'fixed' as const },
      { window: '1M', align: 'fixed' as const },
      { window: '1d', align: 'sliding' as const },
      { window: '1d', align: 'calendar' as const },
      { window: 'lifetime', align: null },
      { window: '0 * * * *', align: null },
    ),
    timezone: fc.constantFrom('UTC', 'Europe/Berlin'),
    provider: fc.constantFrom(null, 'openai'),
    model: fc.constantFrom(null, 'gpt*'),
    mode: fc.constantFrom('enforce' as const, 'observe' as const),
    alertAt: fc.constantFrom([], ['0.8', '1'], ['1', '0.8'], ['0.8,1']),
    anchor: fc.constantFrom(0, 1_700_000_000_000),
    createdAt: times,
    updatedAt: times,
    countNumber: fc.nat(3),
    override: fc.option(fc.record({ max: fc.bigInt(0n, INT64_MAX), until: times })),
    unreadable: fc.boolean(),
  })
  .map(({ text, unreadable, ...fields }) => ({
    ...aLimit({ ...fields, ...text }),
    ...(unreadable ? { spec: null, invalid: 'window cannot be read' } : {}),
  }))

type Step<E> = { readonly put: E } | { readonly remove: string }
const stepsOf = <E>(entities: fc.Arbitrary<E>): fc.Arbitrary<Step<E>[]> =>
  fc.array(fc.oneof({ weight: 3, arbitrary: fc.record({ put: entities }) }, fc.record({ remove: ids })))

/** Takes the steps in a table and in a map that keeps the order of puts, and compares what they say of themselves after each. */
function follow<E extends { readonly id: string }>(
  table: KeyTable | LimitTable,
  steps: readonly Step<E>[],
  compare: (model: ReadonlyMap<string, E>) => void,
): void {
  const like = table as unknown as Map<string, E>
  const model = new Map<string, E>()
  for (const step of steps) {
    if ('put' in step) {
      model.delete(step.put.id)
      model.set(step.put.id, step.put)
      like.set(step.put.id, step.put)
    } else assert.equal(like.delete(step.remove), model.delete(step.remove))
    assert.equal(like.size, model.size)
    assert.deepEqual(new Map(like), model)
    assert.deepEqual(new Set(like.keys()), new Set(model.keys()))
    for (const [id, entity] of model) {
      assert.deepEqual(like.get(id), entity)
      assert.equal(like.get(id), like.get(id), 'the same object while it is asked for')
    }
    compare(model)
  }
}

/** No two keys have the same hash, or the same one to be rotated from: the books do not take it. */
function possible(steps: readonly Step<VirtualKey>[]): Step<VirtualKey>[] {
  const present = new Map<string, VirtualKey>()
  return steps.map((step) => {
    present.delete('put' in step ? step.put.id : step.remove)
    if ('remove' in step) return step
    const others = [...present.values()]
    if (others.some(({ hash }) => hash === step.put.hash)) return { remove: step.put.id }
    const isTaken = others.some(({ previousHash }) => previousHash === step.put.previousHash)
    const put = isTaken ? { ...step.put, previousHash: null } : step.put
    present.set(put.id, put)
    return { put }
  })
}

describe('a packed table answers as a map does', () => {
  test('of keys, by id and by hash: the present owner before one that was rotated', () => {
    fc.assert(
      fc.property(stepsOf(keys), (steps) => {
        const table = new KeyTable()
        follow(table, possible(steps), (model) => {
          for (const hash of ['0'.repeat(64), 'a1'.repeat(32), 'A1'.repeat(32), 'hash', 'unknown']) {
            const owner = [...model.values()].find((key) => key.hash === hash)
            const former = [...model.values()].find((key) => key.previousHash === hash)
            assert.deepEqual(table.byHash(hash), owner ?? former)
          }
        })
      }),
    )
  })

  test('of limits, by id and by scope, in the order in which they came', () => {
    fc.assert(
      fc.property(stepsOf(limits), fc.array(scopes, { maxLength: 5 }), (steps, others) => {
        const table = new LimitTable()
        follow(table, steps, (model) => {
          for (const scope of [...others, ...[...model.values()].map((limit) => limit.scope)]) {
            const expected = [...model.values()].filter(
              (limit) => limit.scope.kind === scope.kind && limit.scope.id === scope.id,
            )
            assert.deepEqual(table.ofScope(scope), expected)
          }
        })
      }),
    )
  })

  test('with thousands of rows, of which some go and others come', () => {
    const table = new LimitTable()
    const made = Array.from({ length: 5_000 }, (_, n) =>
      aLimit({ metric: 'tokens', max: BigInt(n), scope: { kind: 'team', id: `team ${n % 1_000}` } }),
    )
    for (const limit of made) table.set(limit.id, limit)
    for (const [n, { id }] of made.entries()) if (n % 3 === 0) table.delete(id)
    for (const [n, limit] of made.entries()) if (n % 6 === 0) table.set(limit.id, limit)
    const expected = made.filter((_, n) => n % 3 !== 0 || n % 6 === 0)
    assert.equal(table.size, expected.length)
    assert.deepEqual(new Set([...table.values()].map(({ max }) => max)), new Set(expected.map(({ max }) => max)))
    for (const limit of expected) assert.deepEqual(table.get(limit.id), limit)
    assert.deepEqual(
      new Set(table.ofScope({ kind: 'team', id: 'team 7' })),
      new Set(expected.filter(({ scope }) => scope.id === 'team 7')),
    )
  })
})

test('a row index finds every row that is in it, and no other, however they come and go', () => {
  // Few texts with equal hashes would be rare: the low bits of these are the same for many.
  const texts = Array.from(
    { length: 900 },
    (_, n) => `01920000-0000-7000-8000-${(n * 7).toString(16).padStart(12, '0')}`,
  )
  fc.assert(
    fc.property(fc.array(fc.nat(texts.length - 1), { minLength: 1_000, maxLength: 3_000 }), (picks) => {
      const column = new HexColumn('uuid')
      column.grow(texts.length)
      const index = new RowIndex(column)
      const present = new Set<number>()
      for (const [row, text] of texts.entries()) column.write(row, text)
      for (const row of picks) {
        if (present.delete(row)) index.remove(row)
        else {
          present.add(row)
          index.add(row)
        }
      }
      for (const [row, text] of texts.entries()) {
        assert.equal(index.find(column.wordsOf(text)), present.has(row) ? row : -1)
      }
    }),
    { numRuns: 20 },
  )
})

test('a form is kept once for all rows that have it, and goes with the last of them', () => {
  const forms = new Forms<{ list: string[] }, { list: string[] }>({
    fields: ['list'],
    has: (entity, form) => entity.list === form.list,
  })
  const [first, second] = [forms.take({ list: ['a'] }), forms.take({ list: ['a'] })]
  assert.equal(first, second)
  const others = Array.from({ length: 50 }, (_, n) => forms.take({ list: [`${n}`] }))
  assert.equal(new Set([first, ...others]).size, 51)
  forms.release(first)
  assert.deepEqual(forms.at(second), { list: ['a'] })
  for (const number of [second, ...others]) forms.release(number)
  assert.equal(forms.size, 0)
  assert.deepEqual(forms.at(forms.take({ list: ['b'] })), { list: ['b'] })
})

test('what is recent is bounded, and what is asked for stays', () => {
  const recent = new Recent<number, string>(10)
  for (let n = 0; n < 1_000; n += 1) {
    recent.set(n, `${n}`)
    assert.equal(recent.get(0), '0')
  }
  const kept = Array.from({ length: 1_000 }, (_, n) => recent.get(n)).filter((value) => value !== undefined)
  assert.ok(kept.length <= 20)
  recent.set(999, 'anew')
  assert.equal(recent.get(999), 'anew')
  recent.delete(999)
  assert.equal(recent.get(999), undefined)
})
