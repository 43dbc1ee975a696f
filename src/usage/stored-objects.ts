/**
 * Stored objects: what a provider has kept for a key, and whose it is. Ids are all it takes at the provider to read somebody's
 * conversation or to go on with it, and all keys share the operator's account there; so whoever names one must have made it.
 *
 * What was made lately is known here, bounded; everything is in the books, where the rest is looked up.
 */

import type { AttemptIdentity, FactSink, StoredFact } from '../ledger/facts.ts'
import type { Clock } from '../units/clock.ts'
import { isObject, type JsonObject } from '../units/json-object.ts'
import { parseObject } from './extract.ts'

export type StoredObject = Pick<StoredFact, 'virtualKeyId' | 'provider' | 'providerKeyId'>

const REMEMBERED_MAX = 100_000
/** A response has some few items; what says that it has thousands is broken. */
const IDS_MAX = 200
/** What ids of stored objects look like. */
export const ID = /^[\w-]{1,200}$/

export class StoredObjects {
  readonly #facts: FactSink
  readonly #clock: Clock
  readonly #remembered = new Map<string, StoredObject>()

  constructor(facts: FactSink, clock: Clock) {
    this.#facts = facts
    this.#clock = clock
  }

  /** What is known without asking the books; null says nothing. */
  lately(id: string): StoredObject | null {
    return this.#remembered.get(id) ?? null
  }

  /** The books know of it. */
  found(id: string, object: StoredObject): void {
    this.#remember(id, object)
  }

  /** Writes down what an attempt has left at its provider. Of an id that comes again the first owner stays. Throws when nothing can be written. */
  made(by: AttemptIdentity, ids: readonly string[]): void {
    const { virtualKeyId, provider, providerKeyId } = by
    // Without a key there is nobody who could come back for it.
    if (virtualKeyId === null || provider === null) return
    const fresh = ids.filter((id) => !this.#remembered.has(id))
    if (fresh.length === 0) return
    this.#facts.append({ t: 'stored', at: this.#clock.now(), ids: fresh, virtualKeyId, provider, providerKeyId })
    for (const id of fresh) this.#remember(id, { virtualKeyId, provider, providerKeyId })
  }

  #remember(id: string, object: StoredObject): void {
    this.#remembered.set(id, object)
    if (this.#remembered.size <= REMEMBERED_MAX) return
    for (const oldest of this.#remembered.keys()) {
      this.#remembered.delete(oldest)
      break
    }
  }
}

/** The ids in an answer of the responses API: the response, its items, its conversation. Empty where the body is none. */
export function storedIn(body: Buffer): readonly string[] {
  const answer = parseObject(body.toString())
  return answer === null ? [] : idsOf(answer)
}

/** The same of the event that ends a stream. */
export function storedInEvent(data: JsonObject | null): readonly string[] {
  return isObject(data?.response) ? idsOf(data.response) : []
}

function idsOf({ id, output, conversation }: JsonObject): readonly string[] {
  const items = Array.isArray(output) ? output.map((item) => (isObject(item) ? item.id : null)) : []
  const ids = [id, isObject(conversation) ? conversation.id : conversation, ...items]
  return ids.filter((found): found is string => typeof found === 'string' && ID.test(found)).slice(0, IDS_MAX)
}
