/** What the rows of all entities have in common. */
import type { ManagedBy } from '../store/entities.ts'
import { timestamp } from './tables.ts'

interface ManagedRow {
  readonly id: string
  readonly managed_by: ManagedBy
  readonly created_at: number
  readonly updated_at: number
}

export function entityFrom(row: ManagedRow) {
  return { id: row.id, managedBy: row.managed_by, createdAt: row.created_at, updatedAt: row.updated_at }
}

export function rowOfEntity(entity: { id: string; managedBy: ManagedBy; createdAt: number; updatedAt: number }) {
  return {
    id: entity.id,
    managed_by: entity.managedBy,
    created_at: timestamp(entity.createdAt),
    updated_at: timestamp(entity.updatedAt),
  }
}
