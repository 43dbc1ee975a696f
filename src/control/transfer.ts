/** Transfer: everything out as one document, and in again. */
import { insertAudit } from '../persist/repositories/audit.ts'
import { exportBooks } from '../persist/transfer-export.ts'
import { TransferError } from '../persist/transfer-format.ts'
import { importBooks } from '../persist/transfer-import.ts'
import type { ImportView } from '../schemas/transfer.ts'
import type { Control } from './control.ts'
import { ControlError } from './refused.ts'
import { type Actor, auditOfBooks, type ControlParts } from './work.ts'

/** Pieces of the document, in one look at the database. */
export function exported({ db, clock }: Pick<ControlParts, 'db' | 'clock'>): AsyncGenerator<string> {
  return exportBooks(db, clock.now())
}

/** Throws {@link ControlError} with one line; then nothing has changed. The store does not follow by itself. */
export function imported(
  control: Control,
  source: AsyncIterable<Uint8Array>,
  { actor, secret, withoutCredentials }: { actor: Actor; secret: string; withoutCredentials: boolean },
): Promise<ImportView> {
  const { db, secrets, clock } = control.parts
  const now = clock.now()
  return control.inTurn(() =>
    control.read(async () => {
      try {
        return await importBooks(source, {
          db,
          secrets,
          secret,
          now,
          withoutCredentials,
          finish: (trx, counts) => insertAudit(trx, [auditOfBooks(actor, now, 'books.import', counts)]),
        })
      } catch (error) {
        if (!(error instanceof TransferError)) throw error
        throw new ControlError({ code: 'invalid_request', message: error.message }, { cause: error })
      }
    }),
  )
}
