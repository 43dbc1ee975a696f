/** Notices: alerts that are about no limit. Each is written down, so that it is in the books and delivered once, and handed on. */
import type { FactSink, NoticeFact, NoticeKind } from '../ledger/facts.ts'
import type { User } from '../store/entities.ts'
import type { Clock } from '../units/clock.ts'
import { newId } from '../units/id.ts'
import type { Log } from '../units/log.ts'
import type { AlertListener } from './alert.ts'

export class Notices {
  readonly #facts: FactSink
  readonly #clock: Clock
  readonly #log: Log
  #listener: AlertListener = () => {}

  constructor({ facts, clock, log }: { facts: FactSink; clock: Clock; log: Log }) {
    this.#facts = facts
    this.#clock = clock
    this.#log = log
  }

  /** Names who is handed every notice. */
  onRaise(listener: AlertListener): void {
    this.#listener = listener
  }

  /** The gateway itself has disabled a user. */
  userDisabled({ id, name }: Pick<User, 'id' | 'name'>, reason: string): void {
    this.raise('user_disabled', `The user ${name} has been disabled: ${reason}`, id)
  }

  /** Also where the journal takes nothing: what cannot be written down should be told all the more. */
  raise(kind: NoticeKind, message: string, subjectId: string | null = null): NoticeFact {
    const notice: NoticeFact = { t: 'notice', id: newId(), at: this.#clock.now(), kind, subjectId, message }
    try {
      this.#facts.append(notice)
    } catch (error) {
      this.#log.warn({ err: error, kind }, 'an alert could not be journaled')
    }
    this.#listener(notice)
    return notice
  }
}
