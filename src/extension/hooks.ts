/**
 * Hooks: what a platform team's plugin is asked before admission, what it may answer, and what it is told after settlement.
 */
import type { ApiFormat, Endpoint } from '../admission/request-facts.ts'
import type { UsageEvent } from '../ledger/facts.ts'
import type { Customer, Team, User, VirtualKey } from '../store/entities.ts'

type Known<T extends Customer | Team | User | VirtualKey> = Pick<T, 'id' | 'name' | 'metadata'>

/** A request that has passed authentication and the access checks, and on which nothing is held yet. */
export interface AskedRequest {
  readonly requestId: string
  readonly endpoint: Endpoint
  readonly format: ApiFormat
  /** As the client wrote it. */
  readonly model: string
  /** Who may serve it, first choice first. */
  readonly providers: readonly string[]
  readonly stream: boolean
  /** Nothing will be forwarded: the client asks what would happen. */
  readonly dryRun: boolean
  /** The client's, and those that the plugins before this one have added. */
  readonly tags: readonly string[]
  /** Null where keys are optional and none was presented. */
  readonly virtualKey: Known<VirtualKey> | null
  readonly user: Known<User> | null
  readonly team: Known<Team> | null
  readonly customer: Known<Customer> | null
  /** Ms since the epoch. */
  readonly now: number
}

/** Lets the request go on with more tags (at most five of 64 characters), or refuses it with a code that the plugin has declared. */
export type Verdict =
  | { readonly tags: readonly string[]; readonly refuse?: never }
  | {
      readonly refuse: {
        readonly code: string
        /** For the caller to read. */
        readonly message: string
        /** Whole seconds after which trying again makes sense. */
        readonly retryAfterS?: number
      }
      readonly tags?: never
    }

/** One attempt and how it ended, as `GET /api/events` shows it. Amounts are nano-dollars in decimal strings, times are ms. */
export type SettledEvent = Omit<UsageEvent, 'charges'>

// biome-ignore lint/suspicious/noConfusingVoidType: a hook that has nothing to say just ends
export type Answer = Verdict | undefined | void

/** The hooks of one plugin, its options given. */
export interface Hooks {
  readonly name: string
  /** The codes it may refuse with, and their HTTP statuses. */
  readonly refusals: Readonly<Record<string, number>>
  /** How long a hook may take, in ms. */
  readonly timeoutMs: number
  readonly beforeAdmission: ((asked: AskedRequest) => Answer | Promise<Answer>) | null
  readonly afterSettlement: ((event: SettledEvent) => unknown) | null
}
