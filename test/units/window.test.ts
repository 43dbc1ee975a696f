/** Windows: the period a moment belongs to, where calendars, months and clocks make that hard. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  compileWindow,
  isTimezone,
  LIFETIME,
  WindowError,
  type WindowSpec,
  type WindowText,
  windowAt,
  windowLengthMs,
} from '../../src/units/window.ts'
import { naiveWindow } from '../sim/naive-windows.ts'

const DAY = 86_400_000
const HOUR = 3_600_000

function spec(text: Partial<WindowText>): WindowSpec {
  return compileWindow({ window: '1h', align: null, timezone: 'UTC', anchor: 0, ...text })
}

/** Start and end of the window of a moment, as text. */
function windowOf(text: Partial<WindowText>, now: string): readonly [string, string] {
  const { start, end } = windowAt(spec(text), Date.parse(now))
  return [new Date(start).toISOString(), new Date(end).toISOString()]
}

type Row = readonly [now: string, start: string, end: string]

/** Rows name times as `2026-10-25T01:30` and mean UTC. */
function check(text: Partial<WindowText>, rows: readonly Row[]): void {
  const full = (time: string) => `${time.length === 10 ? `${time}T00:00` : time}:00.000Z`
  for (const [now, start, end] of rows) {
    assert.deepEqual(windowOf(text, full(now)), [full(start), full(end)], `${JSON.stringify(text)} at ${now}`)
  }
}

describe('a fixed window', () => {
  test('is a cell of the lattice that begins at the anchor, before and after it', () => {
    const text = { window: '1h30m', align: 'fixed', anchor: Date.parse('2026-11-01T00:10Z') } as const
    check(text, [
      ['2026-11-01T00:10', '2026-11-01T00:10', '2026-11-01T01:40'],
      ['2026-11-01T01:39', '2026-11-01T00:10', '2026-11-01T01:40'],
      ['2026-11-01T01:40', '2026-11-01T01:40', '2026-11-01T03:10'],
      ['2026-10-31T23:00', '2026-10-31T22:40', '2026-11-01T00:10'],
    ])
  })

  test('of days does not follow daylight saving: a day is 24 hours from the anchor', () => {
    const text = {
      window: '1d',
      align: 'fixed',
      timezone: 'Europe/Berlin',
      anchor: Date.parse('2026-10-20T12:00Z'),
    } as const
    check(text, [['2026-10-25T13:00', '2026-10-25T12:00', '2026-10-26T12:00']])
  })

  test('of months is counted from the anchor itself: the 31st comes back after every shorter month', () => {
    const text = { window: '1M', align: 'fixed', anchor: Date.parse('2027-01-31T09:30Z') } as const
    check(text, [
      ['2027-01-31T09:30', '2027-01-31T09:30', '2027-02-28T09:30'],
      ['2027-02-28T09:29', '2027-01-31T09:30', '2027-02-28T09:30'],
      ['2027-02-28T09:30', '2027-02-28T09:30', '2027-03-31T09:30'],
      ['2027-04-01', '2027-03-31T09:30', '2027-04-30T09:30'],
      ['2028-02-29T10:00', '2028-02-29T09:30', '2028-03-31T09:30'],
      ['2026-12-31T09:30', '2026-12-31T09:30', '2027-01-31T09:30'],
      ['2026-11-30T09:29', '2026-10-31T09:30', '2026-11-30T09:30'],
    ])
  })

  test('of quarters and years keeps its day, and a leap day its month', () => {
    check({ window: '1Q', align: 'fixed', anchor: Date.parse('2026-11-30T00:00Z') }, [
      ['2026-12-01', '2026-11-30', '2027-02-28'],
      ['2027-03-01', '2027-02-28', '2027-05-30'],
      ['2027-06-01', '2027-05-30', '2027-08-30'],
    ])
    check({ window: '1Y', align: 'fixed', anchor: Date.parse('2028-02-29T00:00Z') }, [
      ['2028-12-31', '2028-02-29', '2029-02-28'],
      ['2032-02-28', '2031-02-28', '2032-02-29'],
      ['2033-01-01', '2032-02-29', '2033-02-28'],
    ])
  })

  test('F13 after a century without traffic is found in one step, where counting on would have led', () => {
    const anchor = Date.parse('2026-01-31T00:00Z')
    check({ window: '1M', align: 'fixed', anchor }, [['2126-03-01', '2126-02-28', '2126-03-31']])
    assert.deepEqual(windowAt(spec({ window: '30s', align: 'fixed', anchor }), Date.parse('2126-03-01T00:00:29Z')), {
      start: Date.parse('2126-03-01T00:00:00Z'),
      end: Date.parse('2126-03-01T00:00:30Z'),
    })
  })
})

describe('a calendar window', () => {
  test('of a day has 23 hours when the clock goes forward and 25 when it goes back', () => {
    check({ window: '1d', align: 'calendar', timezone: 'Europe/Berlin' }, [
      ['2026-03-29T12:00', '2026-03-28T23:00', '2026-03-29T22:00'],
      ['2026-10-25T12:00', '2026-10-24T22:00', '2026-10-25T23:00'],
      ['2026-10-25T00:30', '2026-10-24T22:00', '2026-10-25T23:00'],
      ['2026-10-25T01:30', '2026-10-24T22:00', '2026-10-25T23:00'],
    ])
    check({ window: '1d', align: 'calendar', timezone: 'America/New_York' }, [
      ['2026-03-08T12:00', '2026-03-08T05:00', '2026-03-09T04:00'],
      ['2026-11-01T12:00', '2026-11-01T04:00', '2026-11-02T05:00'],
    ])
  })

  test('of a day that has no midnight begins when the day begins', () => {
    check({ window: '1d', align: 'calendar', timezone: 'America/Havana' }, [
      ['2026-03-08T12:00', '2026-03-08T05:00', '2026-03-09T04:00'],
    ])
    // Beirut goes from 23:59 to 01:00.
    check({ window: '1d', align: 'calendar', timezone: 'Asia/Beirut' }, [
      ['2026-03-28T23:00', '2026-03-28T22:00', '2026-03-29T21:00'],
    ])
  })

  test('of a day that has midnight twice begins at the first', () => {
    check({ window: '1d', align: 'calendar', timezone: 'America/Havana' }, [
      ['2026-11-01T05:30', '2026-11-01T04:00', '2026-11-02T05:00'],
    ])
    // St John's went from 00:01 back to 23:01 of the day before.
    check({ window: '1d', align: 'calendar', timezone: 'America/St_Johns' }, [
      ['2010-11-07T02:29', '2010-11-06T02:30', '2010-11-07T02:30'],
      ['2010-11-07T02:45', '2010-11-07T02:30', '2010-11-08T03:30'],
      ['2010-11-07T03:29', '2010-11-07T02:30', '2010-11-08T03:30'],
      ['2010-11-07T03:31', '2010-11-07T02:30', '2010-11-08T03:30'],
    ])
  })

  test('of weeks begins on an ISO Monday, also across a year, and multiples keep their beat', () => {
    check({ window: '1w', align: 'calendar' }, [
      ['2026-11-22T23:59', '2026-11-16', '2026-11-23'],
      ['2026-11-23', '2026-11-23', '2026-11-30'],
      ['2027-01-01', '2026-12-28', '2027-01-04'],
    ])
    check({ window: '2w', align: 'calendar' }, [
      ['2026-11-22', '2026-11-16', '2026-11-30'],
      ['2026-11-30', '2026-11-30', '2026-12-14'],
    ])
  })

  test('of months, quarters and years ends where the calendar does, in its own zone', () => {
    check({ window: '1M', align: 'calendar', timezone: 'Europe/Berlin' }, [
      ['2026-10-31T22:59', '2026-09-30T22:00', '2026-10-31T23:00'],
      ['2026-10-31T23:00', '2026-10-31T23:00', '2026-11-30T23:00'],
      ['2028-02-29T12:00', '2028-01-31T23:00', '2028-02-29T23:00'],
    ])
    check({ window: '1Q', align: 'calendar' }, [
      ['2026-11-21', '2026-10-01', '2027-01-01'],
      ['2026-09-30T23:59', '2026-07-01', '2026-10-01'],
    ])
    check({ window: '1Y', align: 'calendar', timezone: 'America/New_York' }, [
      ['2026-06-01', '2026-01-01T05:00', '2027-01-01T05:00'],
    ])
  })

  test('means its multiple: 3M is a quarter of months, not one month', () => {
    check({ window: '3M', align: 'calendar' }, [['2026-11-21', '2026-10-01', '2027-01-01']])
    check({ window: '6M', align: 'calendar' }, [['2026-11-21', '2026-07-01', '2027-01-01']])
    check({ window: '2Y', align: 'calendar' }, [['2027-11-21', '2026-01-01', '2028-01-01']])
    check({ window: '2d', align: 'calendar' }, [
      ['1970-01-02', '1970-01-01', '1970-01-03'],
      ['2026-11-22', '2026-11-21', '2026-11-23'],
    ])
  })
})

describe('a cron window', () => {
  test('U10 lasts from each firing to the next; the instant of a firing begins the new one', () => {
    check({ window: '0 6 * * 1' }, [
      ['2026-11-23T05:59', '2026-11-16T06:00', '2026-11-23T06:00'],
      ['2026-11-23T06:00', '2026-11-23T06:00', '2026-11-30T06:00'],
    ])
    check({ window: 'hourly' }, [['2026-11-21T12:34', '2026-11-21T12:00', '2026-11-21T13:00']])
    check({ window: 'daily', timezone: 'Asia/Kathmandu' }, [
      ['2026-11-21T18:14', '2026-11-20T18:15', '2026-11-21T18:15'],
    ])
  })

  test('fires once on the day its hour is missing, and once on the day it comes twice', () => {
    const nightly = spec({ window: '30 2 * * *', timezone: 'Europe/Berlin' })
    for (const day of ['2026-03-29', '2026-10-25']) {
      const starts = new Set<number>()
      const midnight = Date.parse(`${day}T00:00+01:00`)
      for (let at = midnight - DAY / 2; at < midnight + 2 * DAY; at += HOUR / 4) starts.add(windowAt(nightly, at).start)
      const onThatDay = [...starts].filter((start) => start >= midnight - HOUR && start < midnight + DAY)
      assert.equal(onThatDay.length, 1, `${day}: ${onThatDay.map((start) => new Date(start).toISOString())}`)
    }
  })

  test('of a day that many months lack waits for the next that has it', () => {
    check({ window: '0 0 31 * *' }, [['2026-11-21', '2026-10-31', '2026-12-31']])
    check({ window: '0 0 29 2 *' }, [['2026-11-21', '2024-02-29', '2028-02-29']])
  })

  test('U12 that cannot be read or never fires is refused with its text', () => {
    for (const window of ['0 0 31 2 *', '61 * * * *', '* * * *x *', 'every day at noon', '0 0 0 0 0 0 0 0']) {
      assert.throws(
        () => spec({ window }),
        (error: unknown) => error instanceof WindowError && error.field === 'window' && error.message.includes(window),
        window,
      )
    }
  })
})

test('a sliding window is a lattice of cells like a fixed one', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 41 }), fc.integer({ min: 0, max: 2 ** 41 }), (anchor, now) => {
      const text = { window: '5m', anchor }
      assert.deepEqual(
        windowAt(spec({ ...text, align: 'sliding' }), now),
        windowAt(spec({ ...text, align: 'fixed' }), now),
      )
    }),
  )
})

test('a lifetime and a concurrency limit have one window that never ends', () => {
  for (const window of ['lifetime', null]) {
    assert.equal(windowAt(spec({ window }), 0), LIFETIME)
    assert.equal(windowAt(spec({ window }), 8e15).end, Number.POSITIVE_INFINITY)
    assert.equal(windowLengthMs(spec({ window }), 0), Number.POSITIVE_INFINITY)
  }
})

describe('what cannot be compiled', () => {
  const refused: readonly (readonly [Partial<WindowText>, WindowError['field']])[] = [
    [{ window: '0s' }, 'window'],
    [{ window: '1month' }, 'window'],
    [{ window: '' }, 'window'],
    [{ window: '1M', align: 'sliding' }, 'align'],
    [{ window: '1Y', align: 'sliding' }, 'align'],
    [{ window: '1h', align: 'calendar' }, 'align'],
    [{ window: '90m', align: 'calendar' }, 'align'],
    [{ window: '1d12h', align: 'calendar' }, 'align'],
    [{ window: 'lifetime', align: 'fixed' }, 'align'],
    [{ window: null, align: 'calendar' }, 'align'],
    [{ window: '0 6 * * 1', align: 'fixed' }, 'align'],
    [{ window: 'daily', align: 'calendar' }, 'align'],
    [{ timezone: 'Mars/Olympus' }, 'timezone'],
    [{ timezone: '' }, 'timezone'],
    [{ timezone: '+02:00' }, 'timezone'],
  ]

  test('T17 is refused with the field at fault, so that the row can be mended', () => {
    for (const [text, field] of refused) {
      assert.throws(
        () => spec(text),
        (error: unknown) => error instanceof WindowError && error.field === field,
        JSON.stringify(text),
      )
    }
  })

  test('a zone is known by its name alone', () => {
    for (const zone of ['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Etc/GMT+5'])
      assert.equal(isTimezone(zone), true, zone)
    for (const zone of ['', 'Berlin', '+01:00', 'Europe/Berlin ', '01:00']) assert.equal(isTimezone(zone), false, zone)
  })
})

describe('windows tile time', () => {
  const zones = [
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'America/Havana',
    'Australia/Lord_Howe',
    'Asia/Beirut',
    'Pacific/Chatham',
  ]
  const calendars = ['1d', '2d', '5d', '1w', '2w', '3w', '1M', '2M', '5M', '1Q', '1Y', '3Y']
  const crons = [
    'hourly',
    'daily',
    '30 2 * * *',
    '0 2 * * *',
    '15 0 * * *',
    '*/20 * * * *',
    '0 */5 * * *',
    '0 6 * * 1',
    '0 0 1 * *',
  ]
  const lattices = ['1s', '7s', '1h30m', '1d', '1w', '1M', '5M', '1Q', '1Y']

  /** Times to the millisecond, half of them within a day of a change of the clock somewhere. */
  const changes = [
    '2026-03-08T07:00Z',
    '2026-03-29T01:00Z',
    '2026-10-25T01:00Z',
    '2026-11-01T06:00Z',
    '2026-04-04T15:00Z',
    '2026-10-03T15:30Z',
  ]
  const anyTime = fc.oneof(
    fc.integer({ min: Date.parse('2025-01-01T00:00Z'), max: Date.parse('2031-01-01T00:00Z') }),
    fc
      .tuple(fc.constantFrom(...changes.map((change) => Date.parse(change))), fc.integer({ min: -DAY, max: DAY }))
      .map(([change, apart]) => change + apart),
  )
  const anyText: fc.Arbitrary<WindowText> = fc.oneof(
    fc.record({
      window: fc.constantFrom(...calendars),
      align: fc.constant('calendar' as const),
      timezone: fc.constantFrom(...zones),
      anchor: fc.constant(0),
    }),
    fc.record({
      window: fc.constantFrom(...crons),
      align: fc.constant(null),
      timezone: fc.constantFrom(...zones),
      anchor: fc.constant(0),
    }),
    fc.record({
      window: fc.constantFrom(...lattices),
      align: fc.constant('fixed' as const),
      timezone: fc.constant('UTC'),
      anchor: anyTime,
    }),
  )

  test('T15 every moment lies in one window, which begins where the last one ended', () => {
    fc.assert(
      fc.property(anyText, anyTime, (text, now) => {
        const compiled = compileWindow(text)
        const window = windowAt(compiled, now)
        assert.ok(window.start <= now && now < window.end)
        assert.deepEqual(windowAt(compiled, window.start), window)
        assert.deepEqual(windowAt(compiled, window.end - 1), window)
        assert.equal(windowAt(compiled, window.end).start, window.end)
        assert.equal(windowAt(compiled, window.start - 1).end, window.start)
        assert.equal(windowLengthMs(compiled, now), window.end - window.start)
      }),
      { numRuns: 1_500 },
    )
  })

  test('are those that walking the calendar finds', () => {
    const walked: fc.Arbitrary<WindowText> = fc.oneof(
      fc.record({
        window: fc.constantFrom('1d', '2w', '5M', '1Q', '3Y'),
        align: fc.constant('calendar' as const),
        timezone: fc.constantFrom('Europe/Berlin', 'America/New_York'),
        anchor: fc.constant(0),
      }),
      fc.record({
        window: fc.constantFrom('0 6 * * 1', '15 0 1 * *'),
        align: fc.constant(null),
        timezone: fc.constantFrom('Europe/Berlin', 'Pacific/Chatham'),
        anchor: fc.constant(0),
      }),
      fc.record({
        window: fc.constantFrom(...lattices),
        align: fc.constant('fixed' as const),
        timezone: fc.constant('UTC'),
        anchor: anyTime,
      }),
    )
    fc.assert(
      fc.property(walked, anyTime, (text, now) => {
        assert.deepEqual(windowAt(compileWindow(text), now), naiveWindow(text, now))
      }),
      { numRuns: 1_500 },
    )
  })
})
