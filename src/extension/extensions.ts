/**
 * Extensions: asks and tells the plugins of platform teams, one after the other in the order of bursar.yaml.
 *
 * Before admission a hook that throws, takes too long or answers something else has its request refused with `internal`: nobody gets past a
 * rule because the rule is broken. After settlement it is logged and counted; the books know nothing of it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { accept, type Result, refuse, type TeamCode } from '../admission/decision.ts'
import { TAG_LENGTH_MAX, TAGS_MAX } from '../admission/read-facts.ts'
import type { UsageEvent } from '../ledger/facts.ts'
import type { Log } from '../units/log.ts'
import type { AskedRequest, Hooks } from './hooks.ts'

export type HookName = 'beforeAdmission' | 'afterSettlement'

export interface HookFailures {
  readonly plugin: string
  readonly hook: HookName
  readonly count: number
}

export class Extensions {
  readonly #hooks: readonly Hooks[]
  readonly #log: Log
  readonly #telling = new Set<Promise<void>>()
  readonly #failures = new Map<string, HookFailures>()

  constructor(hooks: readonly Hooks[], log: Log) {
    this.#hooks = hooks
    this.#log = log
    for (const { name, beforeAdmission, afterSettlement } of hooks) {
      if (beforeAdmission !== null) this.#count(name, 'beforeAdmission', 0)
      if (afterSettlement !== null) this.#count(name, 'afterSettlement', 0)
    }
  }

  /** The codes of the plugins' own refusals. */
  get refusalCodes(): readonly string[] {
    return this.#hooks.flatMap(({ refusals }) => Object.keys(refusals))
  }

  /** Whether any plugin wants to be asked before admission. */
  get asks(): boolean {
    return this.#hooks.some(({ beforeAdmission }) => beforeAdmission !== null)
  }

  /** Whether any plugin wants to be told after settlement. */
  get tells(): boolean {
    return this.#hooks.some(({ afterSettlement }) => afterSettlement !== null)
  }

  /** How often each of the hooks has failed since the start. */
  get failures(): readonly HookFailures[] {
    return [...this.#failures.values()]
  }

  /** Asks every plugin until one refuses. The request's tags, theirs included. */
  async ask(request: AskedRequest): Promise<Result<readonly string[]>> {
    let { tags } = request
    for (const { name, refusals, timeoutMs, beforeAdmission } of this.#hooks) {
      if (beforeAdmission === null) continue
      try {
        const answer = beforeAdmission({ ...request, tags })
        const verdict: unknown = answer instanceof Promise ? await within(answer, timeoutMs) : answer
        const read = readVerdict(verdict, refusals)
        if (!read.ok) return read
        tags = [...new Set([...tags, ...read.value])]
      } catch (error) {
        this.#failed(name, 'beforeAdmission', request.requestId, error)
        return refuse('internal', `Internal error. The request id is ${request.requestId}.`)
      }
    }
    return accept(tags)
  }

  /** Tells every plugin, once the answer has had its turn. */
  tell({ charges: _, ...event }: UsageEvent): void {
    for (const hooks of this.#hooks) {
      if (hooks.afterSettlement === null) continue
      const telling = this.#tellOne(hooks.name, hooks.afterSettlement, hooks.timeoutMs, event).finally(() =>
        this.#telling.delete(telling),
      )
      this.#telling.add(telling)
    }
  }

  /** Resolves when every plugin has been told everything, or has had its time. */
  async settled(): Promise<void> {
    await Promise.all(this.#telling)
  }

  async #tellOne(
    name: string,
    hook: NonNullable<Hooks['afterSettlement']>,
    timeoutMs: number,
    event: Omit<UsageEvent, 'charges'>,
  ): Promise<void> {
    await nextTurn()
    try {
      const answer = hook({ ...event, tags: [...event.tags] })
      if (answer instanceof Promise) await within(answer, timeoutMs)
    } catch (error) {
      this.#failed(name, 'afterSettlement', event.requestId, error)
    }
  }

  #failed(plugin: string, hook: HookName, requestId: string, error: unknown): void {
    this.#count(plugin, hook, 1)
    this.#log.error({ err: error, plugin, hook, requestId }, 'the hook of a plugin failed')
  }

  #count(plugin: string, hook: HookName, more: 0 | 1): void {
    const key = `${hook} ${plugin}`
    const count = (this.#failures.get(key)?.count ?? 0) + more
    this.#failures.set(key, { plugin, hook, count })
  }
}

/** What a plugin has answered, which may be JavaScript's and anything at all. Throws what a broken plugin answers. */
function readVerdict(verdict: unknown, refusals: Hooks['refusals']): Result<readonly string[]> {
  if (verdict === undefined) return accept([])
  if (typeof verdict === 'object' && verdict !== null) {
    if ('refuse' in verdict) return refusalOf(verdict.refuse, refusals)
    if ('tags' in verdict && isTags(verdict.tags)) return accept(verdict.tags)
  }
  throw new TypeError(
    `its answer is neither nothing nor { refuse: { code, message } } nor { tags } with at most ${TAGS_MAX} texts of ${TAG_LENGTH_MAX} characters`,
  )
}

function isTags(tags: unknown): tags is string[] {
  const isTag = (tag: unknown) => typeof tag === 'string' && tag !== '' && tag.length <= TAG_LENGTH_MAX
  return Array.isArray(tags) && tags.length <= TAGS_MAX && tags.every(isTag)
}

function refusalOf(refused: unknown, refusals: Hooks['refusals']): Result<never> {
  const { code, message, retryAfterS } = (refused ?? {}) as Readonly<Record<string, unknown>>
  if (typeof code !== 'string' || !Object.hasOwn(refusals, code)) {
    throw new TypeError(`it refuses with the code ${JSON.stringify(code)}, which it has not declared in \`refusals\``)
  }
  if (typeof message !== 'string' || message === '') throw new TypeError('it refuses without a message')
  if (retryAfterS !== undefined && !Number.isSafeInteger(retryAfterS)) {
    throw new TypeError('its retryAfterS is not a whole number of seconds')
  }
  const status = refusals[code] as number
  const wait = typeof retryAfterS === 'number' ? { retryAfterS: Math.max(0, retryAfterS) } : {}
  return { ok: false, refusal: { code: code as TeamCode, message, status, ...wait } }
}

async function within<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`it took longer than ${timeoutMs} ms`)), timeoutMs)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
