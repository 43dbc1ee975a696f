/**
 * Secrets at rest: provider credentials are stored encrypted (AES-256-GCM) under a key derived from BURSAR_SECRET (scrypt).
 *
 * Each text is bound to its place (the row it stands in), so that a stored credential cannot be moved to another provider. A check
 * value in the database tells a wrong secret at the start, in one line, instead of at the first request.
 */
import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto'
import type { Kysely } from 'kysely'
import type { Tables } from './tables.ts'

const VERSION = 'v1'
const CHECK_TEXT = 'bursar'
const CHECK_PLACE = 'installation:secret_check'
const IV_BYTES = 12
const TAG_BYTES = 16

/** A text could not be decrypted: another secret, another place, or a damaged row. Never carries the text. */
export class DecryptionError extends Error {
  override readonly name = 'DecryptionError'
}

/** BURSAR_SECRET is not the one the stored credentials were encrypted with; the message is one line for the operator. */
export class WrongSecretError extends Error {
  override readonly name = 'WrongSecretError'
}

export class Secrets {
  readonly #key: Buffer

  constructor(secret: string, salt: string) {
    this.#key = scryptSync(secret, Buffer.from(salt, 'base64'), 32)
  }

  /** `place` names where the text will stand, such as `provider_keys:<id>`; decryption must name the same. */
  encrypt(text: string, place: string): string {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(place))
    const sealed = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return `${VERSION}:${sealed.toString('base64')}`
  }

  /** Throws {@link DecryptionError}. */
  decrypt(text: string, place: string): string {
    const [version, body = ''] = text.split(':')
    const sealed = Buffer.from(body, 'base64')
    if (version !== VERSION || sealed.length < IV_BYTES + TAG_BYTES) {
      throw new DecryptionError('is not in a form this version can decrypt')
    }
    const end = sealed.length - TAG_BYTES
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, IV_BYTES), {
        authTagLength: TAG_BYTES,
      })
      decipher.setAAD(Buffer.from(place)).setAuthTag(sealed.subarray(end))
      return Buffer.concat([decipher.update(sealed.subarray(IV_BYTES, end)), decipher.final()]).toString('utf8')
    } catch (error) {
      throw new DecryptionError('cannot be decrypted', { cause: error })
    }
  }
}

/** Where a provider key's credential stands. */
export function providerKeyPlace(providerKeyId: string): string {
  return `provider_keys:${providerKeyId}`
}

/** Where the value of a provider's extra header stands. */
export function providerHeaderPlace(providerId: string, header: string): string {
  return `providers:${providerId}:${header.toLowerCase()}`
}

/**
 * The installation's secrets. On the first start the salt and the check value are stored; later another secret is refused with
 * {@link WrongSecretError}.
 */
export async function openSecrets(db: Kysely<Tables>, secret: string): Promise<Secrets> {
  const salt = randomBytes(16).toString('base64')
  const check = new Secrets(secret, salt).encrypt(CHECK_TEXT, CHECK_PLACE)
  await db
    .insertInto('installation')
    .values({ secret_salt: salt, secret_check: check })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const stored = await db.selectFrom('installation').selectAll().executeTakeFirstOrThrow()
  const secrets = new Secrets(secret, stored.secret_salt)
  try {
    secrets.decrypt(stored.secret_check, CHECK_PLACE)
  } catch (error) {
    throw new WrongSecretError(
      'BURSAR_SECRET is not the secret the stored provider credentials were encrypted with; give the former one back',
      { cause: error },
    )
  }
  return secrets
}
