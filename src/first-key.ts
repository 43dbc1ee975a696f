/**
 * First key: a new installation gets one small virtual key, so that the first `curl` works as it is printed. The key itself is in a file of
 * the data directory, never in the log.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hashKey } from './auth/virtual-key.ts'
import type { Control } from './control/control.ts'
import { createVirtualKey } from './control/virtual-keys.ts'
import { SYSTEM_ACTOR } from './control/work.ts'
import type { GovernanceStore } from './store/governance-store.ts'

const NAME = 'first'
/** Enough to look around, too little to hurt where a real provider is behind it. */
const LIMITS = [
  { metric: 'cost', max: '1', window: '1d' },
  { metric: 'requests', max: 60, window: '1m' },
] as const

/** Makes the first key where there has never been one. */
export async function makeFirstKey(control: Control, store: GovernanceStore, dataDir: string): Promise<void> {
  const file = join(dataDir, 'keys', NAME)
  if (store.virtualKeys.size > 0 || existsSync(file)) return
  await control.write(SYSTEM_ACTOR, async (work) => {
    const { value } = await createVirtualKey(work, { name: NAME, limits: [...LIMITS] })
    work.afterwards(() => {
      mkdirSync(join(dataDir, 'keys'), { recursive: true, mode: 0o700 })
      writeFileSync(file, `${value}\n`, { mode: 0o600 })
    })
  })
}

/** The file of a generated key that still works, for the `curl` that a start prints; null where there is none. */
export function usableKeyFile(store: GovernanceStore, dataDir: string, now: number): string | null {
  const folder = join(dataDir, 'keys')
  const files = existsSync(folder) ? readdirSync(folder).sort((a) => (a === NAME ? -1 : 1)) : []
  const usable = files.find((file) => {
    const principal = store.principalByHash(hashKey(readFileSync(join(folder, file), 'utf8').trim()), now)
    return principal?.key?.active === true && (principal.key.expiresAt ?? Number.POSITIVE_INFINITY) > now
  })
  return usable === undefined ? null : join(folder, usable)
}
