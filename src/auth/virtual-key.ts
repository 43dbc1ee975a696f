/**
 * Virtual keys: how they are made, recognised and hashed.
 *
 *   sk-bursar-  43 base62 characters (256 random bits)  6 base62 characters (CRC32 of the 43)
 *
 * The checksum lets a secret scanner tell a real key from a look-alike and lets us tell a typo from a revoked key. It is no
 * condition for a key to be valid: imported keys have any form. Only the SHA-256 is kept; the key itself is shown once.
 */
import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

const PREFIX = 'sk-bursar-'
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const SECRET_BYTES = 32
/** 62^43 is the first power of 62 above 2^256. */
const SECRET_LENGTH = 43
/** 62^6 is the first power of 62 above 2^32. */
const CHECKSUM_LENGTH = 6
const START_LENGTH = 14

const GENERATED = new RegExp(`^${PREFIX}[0-9A-Za-z]{${SECRET_LENGTH + CHECKSUM_LENGTH}}$`)

/** A new key; hand it out once and keep {@link hashKey} of it. */
export function generateVirtualKey(): string {
  const secret = base62(BigInt(`0x${randomBytes(SECRET_BYTES).toString('hex')}`), SECRET_LENGTH)
  return PREFIX + secret + checksum(secret)
}

/** Whether the text has the form of a generated key and its checksum is right. False for imported keys, which have none. */
export function hasValidChecksum(key: string): boolean {
  if (!GENERATED.test(key)) return false
  const secret = key.slice(PREFIX.length, PREFIX.length + SECRET_LENGTH)
  return key.endsWith(checksum(secret))
}

/** Whether the text looks like a key that we made, rightly typed or not. */
export function looksGenerated(key: string): boolean {
  return key.startsWith(PREFIX)
}

/** SHA-256 of the key in lower-case hex: what is stored, and what a presented key is looked up by. */
export function hashKey(key: string): string {
  return hash('sha256', key, 'hex')
}

/**
 * The first characters of a key, by which people recognise it. Never more than a quarter of the key, so that a short imported
 * key does not stand half in the database.
 */
export function keyStart(key: string): string {
  return key.slice(0, Math.min(START_LENGTH, Math.floor(key.length / 4)))
}

function checksum(secret: string): string {
  return base62(BigInt(crc32(secret)), CHECKSUM_LENGTH)
}

function base62(value: bigint, length: number): string {
  let rest = value
  let text = ''
  for (let place = 0; place < length; place += 1) {
    text = BASE62.charAt(Number(rest % 62n)) + text
    rest /= 62n
  }
  return text
}
