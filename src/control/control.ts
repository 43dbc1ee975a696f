/**
 * Control: the one door through which the admin API, bursar.yaml and the CLI change anything (DESIGN section 3).
 *
 * A write is one transaction, all or nothing; then the store follows. When the database is away nothing is written, except that a key
 * or a user can still be disabled (see `disable.ts`).
 */
import { isUnreachable } from '../persist/database.ts'
import type { AuditEntry } from '../persist/repositories/audit.ts'
import { type Db, violationOf } from '../persist/repositories/db.ts'
import { ControlError, conflict } from './refused.ts'
import { type Actor, type ControlParts, Work } from './work.ts'

/** Ends a transaction that was never to be committed. */
class TakenBack extends Error {}

export class Control {
  readonly parts: ControlParts
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: ControlParts) {
    this.parts = parts
  }

  /** Runs `operation` in one transaction. Throws {@link ControlError}; then nothing has changed. */
  write<T>(actor: Actor, operation: (work: Work) => Promise<T>): Promise<T> {
    return this.inTurn(() => this.#write(actor, operation))
  }

  /** Does what {@link write} would do and takes it back: only what it would have changed is left. Throws as that does. */
  async rehearse<T>(
    actor: Actor,
    operation: (work: Work) => Promise<T>,
  ): Promise<{ result: T; changes: readonly AuditEntry[] }> {
    const done: { result: T; changes: readonly AuditEntry[] }[] = []
    await this.inTurn(() =>
      this.read((db) =>
        db.transaction().execute(async (transaction) => {
          const work = new Work(this.parts, transaction, actor)
          const result = await operation(work)
          done.push({ result, changes: work.changes })
          throw new TakenBack()
        }),
      ),
    ).catch((error) => {
      if (!(error instanceof TakenBack)) throw error
    })
    return done[0] as { result: T; changes: readonly AuditEntry[] }
  }

  /** Runs `operation` when no write is under way, and lets none begin before it has ended. */
  inTurn<T>(operation: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(operation)
    this.#turn = turn.catch(() => {})
    return turn
  }

  async #write<T>(actor: Actor, operation: (work: Work) => Promise<T>): Promise<T> {
    const { work, result } = await this.read((db) =>
      db.transaction().execute(async (transaction) => {
        const work = new Work(this.parts, transaction, actor)
        const result = await operation(work)
        await work.finish()
        return { work, result }
      }),
    )
    work.committed()
    return result
  }

  /** Reads; a database that is away becomes `database_unavailable`. */
  async read<T>(operation: (db: Db) => Promise<T>): Promise<T> {
    try {
      return await operation(this.parts.db)
    } catch (error) {
      throw explained(error, this.parts)
    }
  }
}

/** What an operation has foreseen stays as it is; races and a lost database get a refusal; everything else is a bug of ours. */
function explained(error: unknown, { log }: ControlParts): unknown {
  if (error instanceof ControlError) return error
  const violation = violationOf(error)
  if (violation !== null) {
    log.warn({ constraint: violation.constraint }, 'a concurrent change was in the way')
    return conflict('Somebody else has just changed the same thing; look again.')
  }
  if (isDatabaseError(error) && isUnreachable(error)) {
    log.warn({ err: error }, 'database away: the change was not made')
    return new ControlError(
      { code: 'database_unavailable', message: 'The database cannot be reached; nothing was changed.' },
      { cause: error },
    )
  }
  return error
}

/** Errors of our own code have no code; those of pg and of sockets do, or say that the connection ended. */
function isDatabaseError(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) return false
  return 'code' in error || /connection|connect|timeout|terminated|ended/i.test(error.message)
}
