/**
 * Fields: an entity's own content in the contract's form, without anything secret. What the admin API answers and the audit log keeps.
 */
import type { ManagementKey } from '../persist/repositories/management-keys.ts'
import type {
  AccessRule,
  Customer,
  EntityByKind,
  EntityKind,
  Limit,
  PriceOverride,
  Provider,
  Team,
  User,
  VirtualKey,
} from '../store/entities.ts'
import { formatUsd } from '../units/money.ts'
import { formatTime, formatTimeOrNull } from '../units/time.ts'

function entityFields(entity: Pick<Customer, 'id' | 'createdAt' | 'updatedAt' | 'managedBy'>) {
  return {
    id: entity.id,
    created_at: formatTime(entity.createdAt),
    updated_at: formatTime(entity.updatedAt),
    managed_by: entity.managedBy,
  }
}

export function customerFields(customer: Customer) {
  return { ...entityFields(customer), name: customer.name, metadata: { ...customer.metadata } }
}

export function teamFields(team: Team) {
  return { ...entityFields(team), name: team.name, customer_id: team.customerId, metadata: { ...team.metadata } }
}

export function userFields(user: User) {
  return {
    ...entityFields(user),
    name: user.name,
    email: user.email,
    kind: user.kind,
    expires_at: formatTimeOrNull(user.expiresAt),
    disabled_at: formatTimeOrNull(user.disabledAt),
    disabled_reason: user.disabledReason,
    max_ips: user.maxIps,
    note: user.note,
    metadata: { ...user.metadata },
  }
}

export function virtualKeyFields(key: VirtualKey) {
  return {
    ...entityFields(key),
    name: key.name,
    user_id: key.userId,
    team_id: key.teamId,
    customer_id: key.customerId,
    active: key.active,
    expires_at: formatTimeOrNull(key.expiresAt),
    access: key.access === null ? null : key.access.map(ruleFields),
    allowed_ips: key.allowedIps === null ? null : [...key.allowedIps],
    passthrough: key.passthrough,
    metadata: { ...key.metadata },
    key_start: key.keyStart,
    rotated_at: formatTimeOrNull(key.rotatedAt),
  }
}

function ruleFields(rule: AccessRule) {
  return {
    provider: rule.provider,
    models: rule.models === null ? null : [...rule.models],
    blocked_models: [...rule.blockedModels],
    key_ids: rule.keyIds === null ? null : [...rule.keyIds],
    weight: rule.weight,
  }
}

/** Dollars for cost, a number for every other metric: counts stay below 2^53. */
export function amountOf(metric: Limit['metric'], amount: bigint): string | number {
  return metric === 'cost' ? formatUsd(amount) : Number(amount)
}

export function limitFields(limit: Limit) {
  const { override } = limit
  return {
    ...entityFields(limit),
    scope: { kind: limit.scope.kind, id: limit.scope.id },
    metric: limit.metric,
    max: amountOf(limit.metric, limit.max),
    window: limit.window,
    align: limit.align,
    timezone: limit.timezone,
    provider: limit.provider,
    model: limit.model,
    mode: limit.mode,
    alert_at: [...limit.alertAt],
    override:
      override === null ? null : { max: amountOf(limit.metric, override.max), until: formatTimeOrNull(override.until) },
    invalid: limit.invalid,
  }
}

export function providerFields(provider: Provider) {
  return {
    ...entityFields(provider),
    name: provider.name,
    kind: provider.kind,
    base_url: provider.baseUrl,
    api_version: provider.apiVersion,
    deployments: { ...provider.deployments },
    timeout_ms: provider.timeoutMs,
    headers: Object.fromEntries(Object.keys(provider.headers).map((name) => [name, null])),
    enabled: provider.enabled,
    keys: provider.keys.map(({ id, name, keyStart, weight }) => ({ id, name, start: keyStart, weight })),
  }
}

export function priceFields(price: PriceOverride) {
  const rate = (amount: bigint | null) => (amount === null ? null : formatUsd(amount))
  return {
    ...entityFields(price),
    provider: price.provider,
    model: price.model,
    input_usd_per_million: rate(price.inputPerMillion),
    output_usd_per_million: rate(price.outputPerMillion),
    cache_read_usd_per_million: rate(price.cacheReadPerMillion),
    cache_write_usd_per_million: rate(price.cacheWritePerMillion),
    usd_per_request: rate(price.perRequest),
    effective_from: formatTime(price.effectiveFrom),
  }
}

export function managementKeyFields(key: ManagementKey) {
  return {
    ...entityFields(key),
    name: key.name,
    role: key.role,
    customer_id: key.customerId,
    expires_at: formatTimeOrNull(key.expiresAt),
    key_start: key.keyStart,
    last_used_at: formatTimeOrNull(key.lastUsedAt),
  }
}

const FIELDS: { readonly [K in EntityKind]: (entity: EntityByKind[K]) => object } = {
  customer: customerFields,
  team: teamFields,
  user: userFields,
  virtual_key: virtualKeyFields,
  limit: limitFields,
  provider: providerFields,
  price: priceFields,
}

export function fieldsOf<K extends EntityKind>(kind: K, entity: EntityByKind[K]): object {
  return FIELDS[kind](entity)
}
