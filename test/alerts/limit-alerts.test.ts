import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { newId } from '../../src/units/id.ts'
import { HOUR, NOW, world } from '../helpers/alert-world.ts'

describe('alerts', () => {
  test('a share is told when the posted amounts reach it, once a window', () => {
    const here = world()
    const limit = here.limit({ metric: 'requests', max: 10n })
    for (let n = 0; n < 7; n++) here.use(limit, 1n)
    assert.deepEqual(here.told(), [])
    for (let n = 0; n < 3; n++) here.use(limit, 1n)
    assert.deepEqual(here.told(), ['0.8 at 8', '1 at 10'])
    const [first] = here.facts.of('alert')
    const { id: limitId, countNumber } = limit
    assert.deepEqual(
      { ...first, id: '' },
      {
        t: 'alert',
        id: '',
        at: NOW,
        limitId,
        countNumber,
        windowStart: NOW,
        metric: 'requests',
        threshold: '0.8',
        used: '8',
        max: '10',
        message: 'All traffic, window 1h, has used 8 of 10 requests.',
      },
    )
    here.clock.advance(HOUR)
    for (let n = 0; n < 9; n++) here.use(limit, 1n)
    assert.deepEqual(here.told().slice(2), ['0.8 at 8'])
    assert.equal(here.facts.of('alert')[2]?.windowStart, NOW + HOUR)
    assert.equal(here.remembered(), 1, 'what was told in the window before is dropped')
  })

  test('the log says the limit, its scope, the share and how much, money in dollars', () => {
    const here = world()
    const scope = { kind: 'team', id: newId() } as const
    const limit = here.limit({ metric: 'cost', max: 2_000_000_000n, scope, model: 'gpt-4o' })
    here.use(limit, 1_700_000_000n)
    assert.deepEqual(here.warnings, [
      {
        limitId: limit.id,
        scope: 'team',
        scopeId: scope.id,
        metric: 'cost',
        provider: null,
        model: 'gpt-4o',
        mode: 'enforce',
        share: '0.8',
        used: '1.70',
        max: '2.00',
      },
    ])
  })

  test('one settlement may reach several shares; a share is exact to the unit', () => {
    const here = world()
    const max = 10n ** 18n
    const limit = here.limit({ metric: 'cost', max, alertAt: ['0.333333', '0.5', '1'] })
    here.use(limit, 333_333n * 10n ** 12n - 1n)
    assert.deepEqual(here.told(), [])
    here.use(limit, 1n)
    assert.deepEqual(here.told(), [`0.333333 at ${333_333n * 10n ** 12n}`])
    here.use(limit, max - 333_333n * 10n ** 12n)
    assert.deepEqual(here.told().slice(1), [`0.5 at ${max}`, `1 at ${max}`])
  })

  test('limits that only observe are told of, beyond their maximum too; one without shares never is', () => {
    const here = world()
    const observed = here.limit({ metric: 'tokens', max: 100n, mode: 'observe' })
    here.use(observed, 250n)
    assert.deepEqual(here.told(), ['0.8 at 250', '1 at 250'])
    here.use(here.limit({ metric: 'tokens', max: 100n, alertAt: [] }), 100n)
    assert.equal(here.told().length, 2)
  })

  test('the maximum in force counts: an override while it holds, and an edit at once', () => {
    const here = world()
    const limit = here.limit({ metric: 'requests', max: 10n, override: { max: 100n, until: NOW + HOUR / 2 } })
    here.use(limit, 9n)
    assert.deepEqual(here.told(), [])
    here.clock.advance(HOUR / 2)
    here.use(limit, 1n)
    assert.deepEqual(here.told(), ['0.8 at 10', '1 at 10'])
    const other = here.limit({ metric: 'requests', max: 1_000n })
    here.use(other, 50n)
    const edited = here.put({ ...other, max: 60n, updatedAt: here.clock.now() })
    here.use(edited, 1n)
    assert.deepEqual(here.told().slice(2), ['0.8 at 51'])
    assert.equal(here.warnings.length, 3, 'all of them in the log too')
  })

  test('a sliding window is measured with the weighted part of the one before it', () => {
    const here = world()
    const limit = here.limit({ metric: 'requests', max: 10n, align: 'sliding' })
    here.use(limit, 6n)
    here.clock.advance(HOUR + HOUR / 2)
    here.use(limit, 4n)
    assert.deepEqual(here.told(), [])
    here.use(limit, 1n)
    assert.deepEqual(here.told(), ['0.8 at 8'], '5 of this window and half of 6')
  })

  test('a new count is told of anew', () => {
    const here = world()
    const limit = here.limit({ metric: 'requests', max: 10n })
    here.use(limit, 8n)
    here.use(here.put({ ...limit, countNumber: 2 }), 8n)
    assert.deepEqual(
      here.facts.of('alert').map(({ countNumber }) => countNumber),
      [1, 2],
    )
  })

  test('after a restart the books are told again, which have it already, and the log is not', () => {
    const here = world()
    const limit = here.limit({ metric: 'requests', max: 100n })
    here.use(limit, 85n)
    here.clock.advance(1_000)
    here.restart()
    here.use(limit, 1n)
    assert.deepEqual(here.told(), ['0.8 at 85', '0.8 at 86'])
    assert.equal(here.warnings.length, 1)
    here.use(limit, 14n)
    assert.equal(here.warnings.length, 2, 'what is reached for the first time is logged')
  })

  test('what the books say was told before a restart is not told again, also after an edit of the limit', () => {
    const here = world()
    const limit = here.limit({ metric: 'requests', max: 100n })
    here.use(limit, 85n)
    const said = here.facts.of('alert')
    here.clock.advance(1_000)
    here.restart(said)
    const edited = here.put({ ...limit, max: 90n, updatedAt: here.clock.now() })
    here.use(edited, 1n)
    assert.deepEqual(here.told(), ['0.8 at 85'])
    here.use(edited, 4n)
    assert.deepEqual(here.told(), ['0.8 at 85', '1 at 90'])
    assert.equal(here.raised.length, 2)
    here.clock.advance(HOUR)
    here.restart(said)
    assert.equal(here.remembered(), 0, 'of windows that have passed nothing is remembered')
  })

  test('what an override kept from being reached is told when it has ended, also after a restart', () => {
    const here = world()
    const limit = here.limit({ metric: 'requests', max: 10n, override: { max: 100n, until: NOW + HOUR / 2 } })
    here.use(limit, 9n)
    here.clock.advance(1_000)
    here.restart()
    here.clock.advance(HOUR / 2)
    here.use(limit, 1n)
    assert.equal(here.raised.length, 2)
  })

  test('F10 however many limits have been told of, none is told of again in its window', () => {
    const here = world({ sweptAt: 3 })
    const limits = Array.from({ length: 10 }, () => here.limit({ metric: 'requests', max: 100n }))
    for (const limit of limits) here.use(limit, 80n)
    for (const limit of limits) here.use(limit, 1n)
    assert.equal(here.raised.length, 10)
    assert.equal(here.told().length, 10)
  })

  test('F25 what is remembered is bounded by the limits there are and the windows that count', () => {
    const here = world({ sweptAt: 3 })
    const soon = Array.from({ length: 10 }, () => here.limit({ metric: 'requests', max: 1n }))
    for (const limit of soon) here.use(limit, 1n)
    assert.equal(here.remembered(), 10)
    here.clock.advance(HOUR)
    for (let n = 0; n < 30; n++) here.use(here.limit({ metric: 'requests', max: 1n }), 1n)
    assert.ok(here.remembered() <= 30, 'windows that have passed are dropped')
    for (const id of [...here.store.limits.keys()]) {
      here.store.apply([{ op: 'delete', kind: 'limit', id }], here.clock.now())
    }
    for (let n = 0; n < 30; n++) here.use(here.limit({ metric: 'requests', max: 1n }), 1n)
    assert.ok(here.remembered() <= 30, 'limits that are gone are dropped')
  })
})
