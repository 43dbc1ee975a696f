/** Users: normal, special and temporary ones, alone or together with a personal key. */
import {
  deleteUser as deleteRow,
  findUserByName,
  insertUser,
  lockUser,
  updateUser,
} from '../persist/repositories/users.ts'
import type { UserCreate, UserPatch, UserPut } from '../schemas/user.ts'
import type { User } from '../store/entities.ts'
import { newId } from '../units/id.ts'
import { parseTime } from '../units/time.ts'
import { createLimits, deleteLimitsOf } from './limits.ts'
import { guarded, unreferenced } from './references.ts'
import { at, conflict, invalid, notFound, Problems } from './refused.ts'
import { createVirtualKey, type IssuedKey } from './virtual-keys.ts'
import { sameContent, type Work } from './work.ts'

export const DISABLED_BY_ADMIN = 'Disabled by an administrator.'

const nameTaken = (name: string, path: string) => ({
  users_name_key: { path: at(path, 'name'), message: `There is already a user named "${name}".` },
})

export interface CreatedUser {
  readonly user: User
  /** The personal key, when one was asked for. */
  readonly issued: IssuedKey | null
}

/** Limits are those given, else the configured ones of the kind (U01). */
export async function createUser(work: Work, body: UserCreate, path = '', id = newId()): Promise<CreatedUser> {
  const kind = body.kind ?? 'normal'
  const blank: User = {
    ...work.born(id),
    name: body.name,
    email: null,
    kind,
    expiresAt: null,
    disabledAt: null,
    disabledReason: null,
    maxIps: null,
    note: null,
    metadata: {},
  }
  const user = withChanges(work, blank, body, path)
  await guarded(insertUser(work.db, user), nameTaken(user.name, path))
  work.created('user', user)
  const limits = body.limits ?? work.parts.settings.userDefaults[kind].limits
  await createLimits(
    work,
    { kind: 'user', id },
    limits,
    body.limits ? at(path, 'limits') : `user_defaults.${kind}.limits`,
  )
  const { virtual_key: key } = body
  if (key === undefined) return { user, issued: null }
  const text = { ...key, name: key.name ?? user.name, user_id: id }
  return { user, issued: await createVirtualKey(work, text, at(path, 'virtual_key')) }
}

export async function patchUser(work: Work, id: string, patch: UserPatch, path = ''): Promise<User> {
  const user = await lockLive(work, id)
  if (user === null) throw notFound('user', id)
  return await change(work, user, patch, 'update', path)
}

/** Absent = keep, null = clear, a value = overwrite; an unknown id creates (U04). */
export async function putUser(
  work: Work,
  id: string,
  body: UserPut,
  path = '',
): Promise<CreatedUser & { created: boolean }> {
  const { id: bodyId = id, ...fields } = body
  if (bodyId !== id) throw invalid([{ path: at(path, 'id'), message: 'cannot change' }])
  const user = await lockLive(work, id)
  if (user === null) return { ...(await createUser(work, newUser(fields, path), path, id)), created: true }
  const { limits, virtual_key: key, ...patch } = fields
  const problems = new Problems()
  if (limits !== undefined) problems.add(at(path, 'limits'), 'of a user that exists are changed under /api/limits')
  if (key !== undefined) problems.add(at(path, 'virtual_key'), 'of a user that exists is made under /api/virtual-keys')
  problems.check()
  return { user: await change(work, user, patch, 'update', path), issued: null, created: false }
}

/** Each is found by its id, else by its name, else created: all or nothing. */
export async function putUsers(work: Work, users: readonly UserPut[]): Promise<CreatedUser[]> {
  const results: CreatedUser[] = []
  for (const [index, body] of users.entries()) {
    const known = body.id === undefined && body.name !== undefined ? await findUserByName(work.db, body.name) : null
    results.push(await putUser(work, body.id ?? known?.id ?? newId(), body, `users[${index}]`))
  }
  return results
}

function newUser(fields: Omit<UserPut, 'id'>, path: string): UserCreate {
  const { name, metadata, ...rest } = fields
  if (name === undefined) throw invalid([{ path: at(path, 'name'), message: 'is missing: there is no such user yet' }])
  return { ...rest, name, ...(metadata == null ? {} : { metadata }) }
}

export async function deleteUser(work: Work, id: string): Promise<void> {
  const user = await lockUser(work.db, id)
  if (user === null) throw notFound('user', id)
  await removeUser(work, user)
}

/** Its keys must be gone. */
export async function removeUser(work: Work, user: User): Promise<void> {
  await unreferenced(deleteRow(work.db, user.id), 'user')
  await deleteLimitsOf(work, { kind: 'user', id: user.id })
  work.deleted('user', user)
}

export async function disableUser(work: Work, id: string, reason = DISABLED_BY_ADMIN): Promise<User> {
  const user = await lockLive(work, id)
  if (user === null) throw notFound('user', id)
  const disabledAt = user.disabledAt ?? work.now
  return await write(work, user, { ...user, disabledAt, disabledReason: reason, updatedAt: work.now }, 'disable')
}

export async function enableUser(work: Work, id: string): Promise<User> {
  const user = await lockLive(work, id)
  if (user === null) throw notFound('user', id)
  if (user.kind === 'temporary' && user.expiresAt !== null && user.expiresAt <= work.now) {
    throw conflict('The time of this temporary user is over; move expires_at first.', 'expires_at')
  }
  return await write(work, user, { ...user, disabledAt: null, disabledReason: null, updatedAt: work.now }, 'enable')
}

async function change(work: Work, user: User, patch: UserPatch, action: string, path: string): Promise<User> {
  return await write(work, user, withChanges(work, user, patch, path), action, path)
}

/**
 * The user as it is in force. The gateway disables users by itself and tells the database up to ten seconds later: an edit of something
 * else must not undo that, and enabling must.
 */
async function lockLive(work: Work, id: string): Promise<User | null> {
  const user = await lockUser(work.db, id)
  const live = work.parts.store.users.get(id)
  if (user === null || live == null || live.disabledAt === null || user.disabledAt !== null) return user
  return { ...user, disabledAt: live.disabledAt, disabledReason: live.disabledReason }
}

async function write(work: Work, before: User, after: User, action: string, path = ''): Promise<User> {
  if (sameContent(before, after)) return before
  await guarded(updateUser(work.db, after), nameTaken(after.name, path))
  work.changed('user', before, after, action)
  return after
}

/** The user with a patch over it; throws when the two together make no sense. */
function withChanges(
  work: Work,
  user: User,
  patch: Omit<UserPatch, 'metadata'> & { metadata?: object | null },
  path: string,
): User {
  const time = (text: string | null | undefined, kept: number | null) =>
    text === undefined ? kept : text === null ? null : parseTime(text)
  const disabledAt = time(patch.disabled_at, user.disabledAt)
  const reason = patch.disabled_reason === undefined ? user.disabledReason : patch.disabled_reason
  const changed: User = {
    ...user,
    name: patch.name ?? user.name,
    email: patch.email === undefined ? user.email : patch.email,
    kind: patch.kind ?? user.kind,
    expiresAt: time(patch.expires_at, user.expiresAt),
    disabledAt,
    disabledReason: disabledAt === null ? null : (reason ?? DISABLED_BY_ADMIN),
    maxIps: patch.max_ips === undefined ? user.maxIps : patch.max_ips,
    note: patch.note === undefined ? user.note : patch.note,
    metadata: patch.metadata === undefined ? user.metadata : { ...patch.metadata },
    updatedAt: work.now,
  }
  const problems = new Problems()
  if (changed.kind === 'temporary' && changed.expiresAt === null) {
    problems.add(at(path, 'expires_at'), 'is missing: a temporary user needs one')
  }
  if (changed.kind !== 'temporary' && changed.expiresAt !== null) {
    problems.add(at(path, 'expires_at'), `must be null or absent for ${changed.kind} users: only temporary ones end`)
  }
  if (
    work.actor.managedBy === 'api' &&
    changed.expiresAt !== user.expiresAt &&
    (changed.expiresAt ?? Infinity) <= work.now
  ) {
    problems.add(at(path, 'expires_at'), 'must be in the future')
  }
  if (patch.disabled_reason != null && disabledAt === null) {
    problems.add(at(path, 'disabled_reason'), 'needs disabled_at: this user is not disabled')
  }
  problems.check()
  return changed
}
