/** How providers, with their credentials encrypted, and prices lie in their tables. */
import type { PriceOverride, Provider } from '../store/entities.ts'
import { entityFrom, rowOfEntity } from './entity-rows.ts'
import { providerHeaderPlace, providerKeyPlace, type Secrets } from './secrets.ts'
import { json, type NewRow, type Row, timestamp } from './tables.ts'

/** `keys` are the provider's rows of `provider_keys`, in any order; they come out by name. Throws when a credential cannot be decrypted. */
export function providerFromRow(
  row: Row<'providers'>,
  keys: readonly Row<'provider_keys'>[],
  secrets: Pick<Secrets, 'decrypt'>,
): Provider {
  return {
    ...entityFrom(row),
    name: row.name,
    kind: row.kind,
    baseUrl: row.base_url,
    apiVersion: row.api_version,
    deployments: row.deployments,
    timeoutMs: row.timeout_ms,
    headers: Object.fromEntries(
      Object.entries(row.headers).map(([name, value]) => [
        name,
        secrets.decrypt(value, providerHeaderPlace(row.id, name)),
      ]),
    ),
    enabled: row.enabled,
    keys: [...keys]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((key) => ({
        id: key.id,
        name: key.name,
        value: secrets.decrypt(key.value_encrypted, providerKeyPlace(key.id)),
        keyStart: key.key_start,
        weight: key.weight,
      })),
  }
}

export function rowOfProvider(provider: Provider, secrets: Pick<Secrets, 'encrypt'>): NewRow<'providers'> {
  const headers = Object.entries(provider.headers).map(([name, value]) => [
    name,
    secrets.encrypt(value, providerHeaderPlace(provider.id, name)),
  ])
  return {
    ...rowOfEntity(provider),
    name: provider.name,
    kind: provider.kind,
    base_url: provider.baseUrl,
    api_version: provider.apiVersion,
    deployments: json(provider.deployments),
    timeout_ms: provider.timeoutMs,
    headers: json(Object.fromEntries(headers)),
    enabled: provider.enabled,
  }
}

export function rowsOfProviderKeys(provider: Provider, secrets: Pick<Secrets, 'encrypt'>): NewRow<'provider_keys'>[] {
  return provider.keys.map((key) => ({
    id: key.id,
    provider_id: provider.id,
    name: key.name,
    value_encrypted: secrets.encrypt(key.value, providerKeyPlace(key.id)),
    key_start: key.keyStart,
    weight: key.weight,
    updated_at: timestamp(provider.updatedAt),
  }))
}

export function priceFromRow(row: Row<'prices'>): PriceOverride {
  return {
    ...entityFrom(row),
    provider: row.provider,
    model: row.model,
    inputPerMillion: row.input_nano_usd_per_million,
    outputPerMillion: row.output_nano_usd_per_million,
    cacheReadPerMillion: row.cache_read_nano_usd_per_million,
    cacheWritePerMillion: row.cache_write_nano_usd_per_million,
    perRequest: row.nano_usd_per_request,
    effectiveFrom: row.effective_from,
  }
}

export function rowOfPrice(price: PriceOverride): NewRow<'prices'> {
  return {
    ...rowOfEntity(price),
    provider: price.provider,
    model: price.model,
    input_nano_usd_per_million: price.inputPerMillion,
    output_nano_usd_per_million: price.outputPerMillion,
    cache_read_nano_usd_per_million: price.cacheReadPerMillion,
    cache_write_nano_usd_per_million: price.cacheWritePerMillion,
    nano_usd_per_request: price.perRequest,
    effective_from: timestamp(price.effectiveFrom),
  }
}
