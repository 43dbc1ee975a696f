/**
 * Named places: the limits that journal lines charge, written before the lines that call them by a number from there on.
 *
 *     {"t":"places","number":17,"limits":[["<limit id>",1,1764201600000,"cost"], …]}
 *     {"t":"settle","event":{…},"charges":{"on":17,"amounts":"1 21 12 9 0 7200"}}
 *
 * Amounts are those of `METRICS`, in its order; each limit takes its own metric's. Every file names what its lines call, since the ones before
 * it may be gone; and a name comes again every so many lines, since nobody knows what those behind a damaged one are charged on.
 */
import { type ChargeLine, type Charges, PlacedCharges, type Places } from '../ledger/charges.ts'
import { METRICS, type Metric } from '../store/entities.ts'

/** The limits of some places, as their line says them. */
type NamedLimits = readonly (readonly [limitId: string, countNumber: number, windowStart: number, metric: Metric])[]

export interface PlacesLine {
  readonly t: 'places'
  readonly number: number
  readonly limits: NamedLimits
}

/** Charges as a line carries them. */
interface CalledCharges {
  readonly on: number
  /** Separated by blanks. */
  readonly amounts: string
}

/** What one damaged name costs at most, in lines. */
const CALLS_MAX = 100

interface Name {
  readonly number: number
  /** Lines that have called it since it was written last. */
  calls: number
}

/** The writing side: which places the open file has named, and how its lines call them. */
export class PlacesNamed {
  /** Those that are named in the open file, or in lines that wait to be written to it. */
  #names = new Map<Places, Name>()
  #last = 0
  /** Called by lines that are not written yet: if these begin a new file, it has to name them. */
  readonly #waiting = new Set<Places>()

  /** The line that has to come before one with these charges; empty where there is none to come. */
  lineBefore(charges: Charges): string {
    if (!(charges instanceof PlacedCharges)) return ''
    const { places } = charges
    this.#waiting.add(places)
    const name = this.#names.get(places) ?? this.#newName(places)
    name.calls += 1
    if (name.calls <= CALLS_MAX) return ''
    name.calls = 1
    return placesLine(places, name.number)
  }

  /** One that has not been written yet. */
  #newName(places: Places): Name {
    this.#last += 1
    const name = { number: this.#last, calls: CALLS_MAX }
    this.#names.set(places, name)
    return name
  }

  /** Charges in the form that calls places by their number. They have been named. */
  textOf(charges: Charges): string {
    if (!(charges instanceof PlacedCharges)) return JSON.stringify(charges)
    return `{"on":${this.#names.get(charges.places)?.number},"amounts":"${charges.amounts.join(' ')}"}`
  }

  /** The lines a new file begins with, whose holds have these charges. */
  begin(held: Iterable<Charges>): string {
    const called = new Set(this.#waiting)
    for (const charges of held) if (charges instanceof PlacedCharges) called.add(charges.places)
    this.#names = new Map([...this.#names].filter(([places]) => called.has(places)))
    return [...this.#names].map(([places, { number }]) => placesLine(places, number)).join('')
  }

  /** Everything that waited is written. */
  written(): void {
    this.#waiting.clear()
  }
}

function placesLine(places: Places, number: number): string {
  const limits = places.map(
    ({ limit, windowStart }) => [limit.id, limit.countNumber, windowStart, limit.metric] as const,
  )
  return `${JSON.stringify({ t: 'places', number, limits } satisfies PlacesLine)}\n`
}

/** The reading side: the places that one file has named so far. */
export type PlacesKnown = Map<number, NamedLimits>

/**
 * Charges as a line carries them, line by line.
 *
 * @param withNothing whether limits that nothing is taken from have a line too
 * Throws when they are on places that nothing has named.
 */
export function readCharges(charges: unknown, known: PlacesKnown, withNothing: boolean): readonly ChargeLine[] {
  if (!isCalled(charges)) return charges as readonly ChargeLine[]
  const limits = known.get(charges.on)
  if (limits === undefined) throw new Error(`it is charged on places ${charges.on}, which its file does not name`)
  const amounts = charges.amounts.split(' ')
  return limits
    .map(([id, count, start, metric]): ChargeLine => [id, count, start, metric, amountOf(amounts, metric)])
    .filter(([, , , , amount]) => withNothing || amount !== '0')
}

function amountOf(amounts: readonly string[], metric: Metric): string {
  const amount = amounts[METRICS.indexOf(metric)]
  if (amount === undefined) throw new Error(`it says no amount of ${metric}`)
  return amount
}

function isCalled(charges: unknown): charges is CalledCharges {
  return (
    typeof charges === 'object' &&
    charges !== null &&
    'on' in charges &&
    'amounts' in charges &&
    typeof charges.amounts === 'string'
  )
}
