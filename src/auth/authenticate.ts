/**
 * Authenticate: from a presented key to the principal that is charged, or to the refusal (CONTRACT section 5, up to the address).
 *
 *   credential → key active → key expired → user active and not over its time → address allowed → address cap
 *
 * Nothing is recorded of a request that is refused here.
 */
import { accept, type Result, refuse } from '../admission/decision.ts'
import type { User, VirtualKey } from '../store/entities.ts'
import type { ClientAddress } from './address.ts'
import { type CidrList, compileCidrs } from './address.ts'
import type { AddressBook } from './addresses.ts'
import { ANONYMOUS, type Principal } from './principal.ts'
import { hashKey, hasValidChecksum, looksGenerated } from './virtual-key.ts'

export interface AuthenticationParts {
  readonly store: { principalByHash(hash: string, now: number): Principal | null }
  readonly addresses: Pick<AddressBook, 'visit'>
  /** False: a request without a credential is served, and only global limits apply to it. */
  readonly requireKey: boolean
}

/** The reason a temporary user's requests carry from its last moment on, before the minute job has written it down. */
export const TIME_OVER_REASON = 'Temporary user expired.'

/**
 * @param credential the presented key; null when there was none
 * @param client where the request comes from; null when that cannot be told
 * @param now wall time in ms
 * @param hashOf `hashKey`, or what remembers its last answer
 */
export function authenticate(
  credential: string | null,
  client: ClientAddress | null,
  { store, addresses, requireKey }: AuthenticationParts,
  now: number,
  hashOf: (key: string) => string = hashKey,
): Result<Principal> {
  if (credential === null) {
    if (!requireKey) return accept(ANONYMOUS)
    return refuse('key_missing', 'No API key was sent. Send your virtual key as "Authorization: Bearer <key>".')
  }
  const principal = store.principalByHash(hashOf(credential), now)
  if (principal === null) return refuse('key_unknown', unknownKeyMessage(credential))
  const refusal = refusalOfPrincipal(principal, now)
  if (refusal !== null) return refusal
  if (!addressAllowed(principal.key, client)) {
    return refuse('ip_not_allowed', 'This key may not be used from your address.')
  }
  if (!addresses.visit(principal, client?.key ?? null, now)) {
    return refuse(
      'ip_not_allowed',
      'This request takes the user over its number of addresses; the user is now disabled.',
    )
  }
  return accept(principal)
}

/** Whether key and user may be used at all at `now` (ms): disabled wins over expired, the key over its user. */
export function refusalOfPrincipal(principal: Principal, now: number): Result<never> | null {
  return refusalOfKey(principal, now) ?? refusalOfUser(principal.user, now)
}

function unknownKeyMessage(credential: string): string {
  return looksGenerated(credential) && !hasValidChecksum(credential)
    ? 'The API key is not known. It is mistyped or cut off: its checksum does not match.'
    : 'The API key is not known.'
}

function refusalOfKey({ key }: Principal, now: number): Result<never> | null {
  if (key === null) return null
  if (!key.active) return refuse('key_disabled', 'This API key is disabled.')
  if (key.expiresAt !== null && key.expiresAt <= now) {
    return refuse('key_expired', `This API key expired at ${new Date(key.expiresAt).toISOString()}.`)
  }
  return null
}

function refusalOfUser(user: User | null, now: number): Result<never> | null {
  if (user === null) return null
  if (user.disabledAt !== null) {
    return refuse('key_disabled', `The user of this API key is disabled: ${user.disabledReason ?? 'no reason given.'}`)
  }
  if (user.expiresAt !== null && user.expiresAt <= now) {
    return refuse('key_disabled', `The user of this API key is disabled: ${TIME_OVER_REASON}`)
  }
  return null
}

const allowLists = new WeakMap<readonly string[], CidrList>()

/** Null allows every address, `[]` none; an address that cannot be told is on no list. */
function addressAllowed(key: VirtualKey | null, client: ClientAddress | null): boolean {
  if (key === null || key.allowedIps === null) return true
  let list = allowLists.get(key.allowedIps)
  if (list === undefined) {
    list = compileCidrs(key.allowedIps)
    allowLists.set(key.allowedIps, list)
  }
  return client !== null && list.contains(client.address)
}
