/**
 * What the governance store holds, as plain immutable values: an edit replaces an entity, nobody changes one.
 *
 * Times are milliseconds since the epoch, money is nano-dollars. JSON and SQL write the same fields in snake_case; `src/schemas`
 * owns the first form, `src/persist/tables.ts` the second.
 */
import type { WindowSpec } from '../units/window.ts'

/** Who made an entity and so who may delete it on the next start: an admin, or the configuration file. */
export type ManagedBy = 'api' | 'file'

export type Metadata = Readonly<Record<string, unknown>>

interface Entity {
  readonly id: string
  readonly managedBy: ManagedBy
  readonly createdAt: number
  readonly updatedAt: number
}

export interface Customer extends Entity {
  readonly name: string
  readonly metadata: Metadata
}

export interface Team extends Entity {
  readonly name: string
  readonly customerId: string | null
  readonly metadata: Metadata
}

export const USER_KINDS = ['normal', 'special', 'temporary'] as const
export type UserKind = (typeof USER_KINDS)[number]

export interface User extends Entity {
  readonly name: string
  readonly email: string | null
  readonly kind: UserKind
  /** Temporary users only: from this moment on they are refused. */
  readonly expiresAt: number | null
  readonly disabledAt: number | null
  readonly disabledReason: string | null
  /** Most distinct addresses (IPv6 by /64); null = the default of the kind; special users have none. */
  readonly maxIps: number | null
  readonly note: string | null
  readonly metadata: Metadata
}

/** One rule of a key's access list. `null` lists mean everything, `[]` nothing; comparison ignores case, `*` globs. */
export interface AccessRule {
  readonly provider: string
  readonly models: readonly string[] | null
  readonly blockedModels: readonly string[]
  readonly keyIds: readonly string[] | null
  /** Share of the traffic of bare model names; null = allowed but never chosen by weight. */
  readonly weight: number | null
}

export interface VirtualKey extends Entity {
  readonly name: string
  /** SHA-256 of the key, lower-case hex. */
  readonly hash: string
  /** The first characters of the key, for people. */
  readonly keyStart: string
  readonly userId: string | null
  readonly teamId: string | null
  readonly customerId: string | null
  readonly active: boolean
  readonly expiresAt: number | null
  readonly access: readonly AccessRule[] | null
  /** CIDR list; null = from anywhere. */
  readonly allowedIps: readonly string[] | null
  readonly passthrough: boolean
  readonly metadata: Metadata
  readonly rotatedAt: number | null
  /** The hash before the last rotation, valid until `previousUntil`. */
  readonly previousHash: string | null
  readonly previousUntil: number | null
}

export const SCOPE_KINDS = ['user', 'virtual_key', 'team', 'customer', 'global'] as const
/** In the order in which limits are checked and reported (CONTRACT section 5). */
export type ScopeKind = (typeof SCOPE_KINDS)[number]

export type Scope =
  | { readonly kind: 'global'; readonly id: null }
  | { readonly kind: Exclude<ScopeKind, 'global'>; readonly id: string }

/** The position of a metric in this list is its index in every vector of amounts. */
export const METRICS = ['requests', 'tokens', 'input_tokens', 'output_tokens', 'concurrency', 'cost'] as const
export type Metric = (typeof METRICS)[number]

export type Align = 'fixed' | 'calendar' | 'sliding'
export type LimitMode = 'enforce' | 'observe'

export interface LimitOverride {
  readonly max: bigint
  /** The override holds while now < until; `Infinity` never ends by itself. */
  readonly until: number
}

export interface Limit extends Entity {
  readonly scope: Scope
  readonly metric: Metric
  /** Nano-dollars for `cost`, a count for every other metric. */
  readonly max: bigint
  /** As written: a duration, a cron expression, `hourly`, `daily` or `lifetime`; null for concurrency. */
  readonly window: string | null
  readonly align: Align | null
  readonly timezone: string
  readonly provider: string | null
  /** A name, a glob, or `family:<name>`. */
  readonly model: string | null
  readonly mode: LimitMode
  /** Shares of `max`, as decimal strings, at which an alert fires once per window. */
  readonly alertAt: readonly string[]
  /** Where the lattice of a fixed or sliding window begins. */
  readonly anchor: number
  /** Grows by one when metric, window, align, timezone or selector change: a new count begins. */
  readonly countNumber: number
  readonly override: LimitOverride | null
  /** `window`, `align` and `timezone` compiled; null when the row cannot be read (`invalid` says why). */
  readonly spec: WindowSpec | null
  /** Why this limit cannot be enforced: its traffic is refused (`limit_invalid`) until it is mended. */
  readonly invalid: string | null
}

export const PROVIDER_KINDS = ['openai', 'anthropic', 'google', 'azure', 'openai_compatible', 'sim'] as const
export type ProviderKind = (typeof PROVIDER_KINDS)[number]

export interface ProviderKey {
  readonly id: string
  readonly name: string
  /** The credential itself, in memory only; encrypted at rest. */
  readonly value: string
  readonly keyStart: string
  readonly weight: number
}

export interface Provider extends Entity {
  readonly name: string
  readonly kind: ProviderKind
  readonly baseUrl: string
  readonly apiVersion: string | null
  /** Azure: model name → deployment name. */
  readonly deployments: Readonly<Record<string, string>>
  /** Longest wait for response headers, in ms; null = the server's setting. */
  readonly timeoutMs: number | null
  readonly headers: Readonly<Record<string, string>>
  readonly enabled: boolean
  readonly keys: readonly ProviderKey[]
}

/** An admin's price: nano-dollars per million tokens, and nano-dollars per request. */
export interface PriceOverride extends Entity {
  readonly provider: string
  /** A name or a glob. */
  readonly model: string
  readonly inputPerMillion: bigint | null
  readonly outputPerMillion: bigint | null
  readonly cacheReadPerMillion: bigint | null
  readonly cacheWritePerMillion: bigint | null
  readonly perRequest: bigint | null
  readonly effectiveFrom: number
}

/** Everything the store can be asked to hold, by the name its table and its changes carry. */
export interface EntityByKind {
  readonly customer: Customer
  readonly team: Team
  readonly user: User
  readonly virtual_key: VirtualKey
  readonly limit: Limit
  readonly provider: Provider
  readonly price: PriceOverride
}
export type EntityKind = keyof EntityByKind

/** A change event: the only way the control plane reaches the data plane. */
export type Change =
  | {
      readonly [K in EntityKind]: { readonly op: 'put'; readonly kind: K; readonly entity: EntityByKind[K] }
    }[EntityKind]
  | { readonly op: 'delete'; readonly kind: EntityKind; readonly id: string }
