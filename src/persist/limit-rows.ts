/** How a limit lies in its table. */
import type { Limit, LimitOverride, Scope, ScopeKind } from '../store/entities.ts'
import { compileWindow, WindowError } from '../units/window.ts'
import { entityFrom, rowOfEntity } from './entity-rows.ts'
import { type NewRow, type Row, timestamp } from './tables.ts'

export function limitFromRow(row: Row<'limits'>): Limit {
  const { window, align, timezone } = row
  const anchor = row.anchor_at
  return {
    ...entityFrom(row),
    scope: scopeFrom(row.scope_kind, row.scope_id),
    metric: row.metric,
    max: (row.metric === 'cost' ? row.max_nano_usd : row.max_count) ?? 0n,
    window,
    align,
    timezone,
    provider: row.provider,
    model: row.model,
    mode: row.mode,
    alertAt: row.alert_at,
    anchor,
    countNumber: row.count_number,
    override: overrideFrom(row),
    ...compiled({ window, align, timezone, anchor }),
  }
}

export function scopeFrom(kind: ScopeKind, id: string | null): Scope {
  if (kind === 'global') return { kind, id: null }
  if (id === null) throw new TypeError(`a limit of scope ${kind} without scope_id`)
  return { kind, id }
}

function overrideFrom(row: Row<'limits'>): LimitOverride | null {
  const max = row.metric === 'cost' ? row.override_max_nano_usd : row.override_max_count
  return max === null || row.override_until === null ? null : { max, until: row.override_until }
}

function compiled(text: Parameters<typeof compileWindow>[0]): Pick<Limit, 'spec' | 'invalid'> {
  try {
    return { spec: compileWindow(text), invalid: null }
  } catch (error) {
    if (error instanceof WindowError) return { spec: null, invalid: `${error.field} ${error.message}` }
    throw error
  }
}

export function rowOfLimit(limit: Limit): NewRow<'limits'> {
  const isCost = limit.metric === 'cost'
  const override = limit.override?.max ?? null
  return {
    ...rowOfEntity(limit),
    scope_kind: limit.scope.kind,
    scope_id: limit.scope.id,
    metric: limit.metric,
    max_nano_usd: isCost ? limit.max : null,
    max_count: isCost ? null : limit.max,
    window: limit.window,
    align: limit.align,
    timezone: limit.timezone,
    provider: limit.provider,
    model: limit.model,
    mode: limit.mode,
    alert_at: [...limit.alertAt],
    anchor_at: timestamp(limit.anchor),
    count_number: limit.countNumber,
    override_max_nano_usd: isCost ? override : null,
    override_max_count: isCost ? null : override,
    override_until: limit.override === null ? null : timestamp(limit.override.until),
  }
}
