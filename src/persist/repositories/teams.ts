/** Teams in the database. */
import type { Team } from '../../store/entities.ts'
import { rowOfTeam, teamFromRow } from '../rows.ts'
import { idsBelow } from './bounds.ts'
import { containing, type Db, type Page } from './db.ts'

export async function findTeam(db: Db, id: string): Promise<Team | null> {
  const row = await db.selectFrom('teams').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? null : teamFromRow(row)
}

export async function findTeamByName(db: Db, name: string): Promise<Team | null> {
  const row = await db.selectFrom('teams').selectAll().where('name', '=', name).executeTakeFirst()
  return row === undefined ? null : teamFromRow(row)
}

export async function insertTeam(db: Db, team: Team): Promise<void> {
  await db.insertInto('teams').values(rowOfTeam(team)).execute()
}

export async function updateTeam(db: Db, team: Team): Promise<void> {
  const { id, ...columns } = rowOfTeam(team)
  await db.updateTable('teams').set(columns).where('id', '=', id).execute()
}

export async function deleteTeam(db: Db, id: string): Promise<void> {
  await db.deleteFrom('teams').where('id', '=', id).execute()
}

export async function pageOfTeams(
  db: Db,
  page: Page,
  { search, customer_id: customerId, below }: { search?: string; customer_id?: string; below?: string },
): Promise<Team[]> {
  let query = db.selectFrom('teams').selectAll().orderBy('id').limit(page.limit)
  if (page.after !== null) query = query.where('id', '>', page.after)
  if (search !== undefined) query = query.where('name', 'ilike', containing(search))
  if (customerId !== undefined) query = query.where('customer_id', '=', customerId)
  if (below !== undefined) query = query.where('id', 'in', idsBelow('team', below))
  return (await query.execute()).map(teamFromRow)
}

/** Those that the configuration file has made. */
export async function teamsOfFile(db: Db): Promise<Team[]> {
  return (await db.selectFrom('teams').selectAll().where('managed_by', '=', 'file').execute()).map(teamFromRow)
}
