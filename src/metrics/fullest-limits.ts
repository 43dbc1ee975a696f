/**
 * Fullest limits: the limits that Prometheus is told of: all of them where they are few, else those of which the largest part is used.
 *
 * Looking at a million limits in use takes seconds, so it is done in pieces, between which requests are served, and not again within a minute.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { MeterReading, ReadMeters } from '../ledger/reading.ts'
import type { Limit } from '../store/entities.ts'
import type { Clock } from '../units/clock.ts'

/** Lines of each metric about limits. */
const LIMITS_SHOWN_MAX = 1_000
const PIECE = 1_000
const KEPT_MS = 60_000

export interface LimitUse {
  readonly limit: Limit
  readonly reading: MeterReading
  /** Infinity for a lifetime. */
  readonly resetsInMs: number
}

export interface FullestLimitsParts {
  readonly limits: ReadonlyMap<string, Limit>
  /** Those of them that have been used. */
  readonly inUse: ReadonlyMap<string, unknown>
  readonly readAll: ReadMeters
  readonly clock: Clock
}

export class FullestLimits {
  readonly #parts: FullestLimitsParts
  readonly #max: number
  #chosen: readonly string[] = []
  /** Monotonic ms. */
  #chosenAt = Number.NEGATIVE_INFINITY
  #choosing: Promise<void> | null = null

  constructor(parts: FullestLimitsParts, max = LIMITS_SHOWN_MAX) {
    this.#parts = parts
    this.#max = max
  }

  /** The limits and their numbers at this moment, the fullest first where there are more than are shown. */
  async look(): Promise<LimitUse[]> {
    const { limits, clock } = this.#parts
    if (limits.size <= this.#max) return this.#read([...limits.keys()])
    if (clock.elapsed() - this.#chosenAt > KEPT_MS) {
      this.#choosing ??= this.#choose().finally(() => {
        this.#choosing = null
      })
      await this.#choosing
    }
    return this.#read(this.#chosen)
  }

  #read(ids: readonly string[]): LimitUse[] {
    const { limits, readAll, clock } = this.#parts
    const now = clock.now()
    const readings = readAll(ids, now)
    return ids.flatMap((id, at) => {
      const limit = limits.get(id)
      const reading = readings[at]
      return limit === undefined || reading == null ? [] : [{ limit, reading, resetsInMs: reading.windowEnd - now }]
    })
  }

  async #choose(): Promise<void> {
    let best: { id: string; share: number }[] = []
    let piece: string[] = []
    const take = () => {
      best.push(...this.#read(piece).map(({ limit, reading }) => ({ id: limit.id, share: shareOf(reading) })))
      piece = []
      if (best.length < this.#max + PIECE) return
      best = best.sort((a, b) => b.share - a.share).slice(0, this.#max)
    }
    const { limits, inUse } = this.#parts
    for (const id of inUse.keys()) {
      piece.push(id)
      if (piece.length < PIECE) continue
      take()
      await nextTurn()
    }
    take()
    // Of those that nobody has used none is fuller than another: any of them will do where there is room.
    for (const id of limits.keys()) {
      if (best.length >= this.#max) break
      if (!inUse.has(id)) best.push({ id, share: 0 })
    }
    this.#chosen = best
      .sort((a, b) => b.share - a.share)
      .slice(0, this.#max)
      .map(({ id }) => id)
    this.#chosenAt = this.#parts.clock.elapsed()
  }
}

/** For putting in order only: what is lost of a bigint's precision does not matter here. */
function shareOf({ used, max }: MeterReading): number {
  return Number(used) / Number(max)
}
