/**
 * Recover: after a start, before anything is loaded, brings the books to where the last run's journal ends (DESIGN section 9).
 *
 * Holds that the last run left unresolved are resolved here, as facts in the journal like any others; then the dump runs until nothing
 * is left. So memory needs no replay of its own: what it loads from the books afterwards is the whole truth.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EventFact, Fact, HoldFact } from '../ledger/facts.ts'
import type { Clock } from '../units/clock.ts'
import type { Dump } from './dump.ts'
import { attemptKey, type Journal } from './journal.ts'
import { readBatch, segmentBefore } from './journal-reader.ts'
import { type OrphanPolicy, resolveOrphan } from './orphans.ts'
import type { Quarantine } from './quarantine.ts'

export interface RecoverOptions {
  readonly journal: Journal
  readonly dump: Dump
  readonly quarantine: Quarantine
  readonly clock: Clock
  readonly orphans: OrphanPolicy
}

export interface RecoverReport {
  /** Facts that had not been in the books yet, resolutions of orphans included. */
  readonly facts: number
  /** Holds nobody had resolved. */
  readonly orphans: number
  /** Lines torn by a crash and passed over. */
  readonly torn: number
  /** What lies in quarantine now. */
  readonly quarantined: number
  /** Wall ms of the newest fact of the last run that was looked at; null where there was none. */
  readonly newestAt: number | null
}

/** A hold and the position behind its line. */
interface OpenHold {
  readonly hold: HoldFact
  readonly end: number
}

interface Resolution {
  readonly hold: HoldFact
  readonly fact: EventFact
}

/** Throws when the database cannot take it, or when the journal's files are not ones this version can read. */
export async function recover(options: RecoverOptions): Promise<RecoverReport> {
  const { journal, dump, quarantine } = options
  const applied = await dump.readPosition()
  const { open: unresolved, newestAt } = await lookThrough(options, applied)
  const resolutions = resolve(unresolved, options)
  // A hold that cannot be resolved lies in quarantine; taken over, it would stay open in every segment to come.
  journal.begin(
    resolutions.map(({ hold }) => hold),
    applied,
  )
  for (const { fact } of resolutions) journal.append(fact)
  // The books may say that an orphan is resolved only when the journal says so too.
  await new Promise<void>((done) => journal.flushed(done))
  const { facts, torn } = await dump.run()
  return { facts, orphans: resolutions.length, torn, quarantined: quarantine.count, newestAt }
}

/** Reads from the segment that contains the applied position: it begins with the holds that were open then. */
async function lookThrough(
  { journal, quarantine }: RecoverOptions,
  applied: number,
): Promise<{ open: OpenHold[]; newestAt: number | null }> {
  const open = new Map<string, OpenHold>()
  let newestAt = Number.NEGATIVE_INFINITY
  for (let position = segmentBefore(journal, applied)?.start ?? journal.end; position < journal.end; ) {
    const { facts, ends, end } = readBatch(journal, position, { factsMax: 10_000, holds: true })
    for (const [index, fact] of facts.entries()) {
      newestAt = Math.max(newestAt, timeOf(fact) ?? newestAt)
      try {
        if (fact.t === 'hold') open.set(attemptKey(fact.identity), { hold: fact, end: ends[index] as number })
        else if (fact.t === 'settle' || fact.t === 'void') open.delete(attemptKey(fact.event))
      } catch (error) {
        // Only a hold is lost on the dump, which passes them over; anything else it will judge itself.
        if (fact.t === 'hold') quarantine.addFact(fact, ends[index] as number, error)
      }
    }
    position = end
    await nextTurn()
  }
  return { open: [...open.values()], newestAt: Number.isFinite(newestAt) ? newestAt : null }
}

function timeOf(fact: Fact): number | null {
  const at = 'event' in fact ? fact.event?.endedAt : fact.at
  return Number.isFinite(at) ? at : null
}

function resolve(unresolved: readonly OpenHold[], { clock, orphans, quarantine }: RecoverOptions): Resolution[] {
  const now = clock.now()
  const resolutions: Resolution[] = []
  for (const { hold, end } of unresolved) {
    try {
      resolutions.push({ hold, fact: resolveOrphan(hold, orphans, now) })
    } catch (error) {
      quarantine.addFact(hold, end, error)
    }
  }
  return resolutions
}
