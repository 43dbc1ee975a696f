/**
 * Webhook: tells somebody else's server of an alert, signed so that it can be sure who speaks.
 *
 * `x-bursar-signature: t=<seconds>,v1=<hex>`, the HMAC-SHA256 of `<seconds>.<body>` with the shared secret: the scheme that Stripe's and
 * others' receivers already know how to check. The time is signed too, so that a call which somebody has recorded cannot be sent again.
 */
import { createHmac } from 'node:crypto'
import { request } from 'undici'
import type { Clock } from '../units/clock.ts'
import type { AlertMessage } from './alert.ts'

export interface WebhookAddress {
  readonly url: string
  /** Null: the calls are not signed. */
  readonly secret: string | null
}

/** Null when the receiver has taken it (2xx), else why not, in words without its text. */
export type DeliveryError = string | null

export type Deliver = (message: AlertMessage) => Promise<DeliveryError>

const ANSWER_MS = 10_000

/** Does not throw. Redirects are not followed: the address is the admin's to set. */
export function webhookTo({ url, secret }: WebhookAddress, clock: Clock): Deliver {
  return async (message) => {
    const body = JSON.stringify(message)
    const signature = secret === null ? {} : { 'x-bursar-signature': signatureOf(secret, clock.now(), body) }
    try {
      const answer = await request(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'user-agent': 'bursar',
          'x-bursar-alert-id': message.id,
          ...signature,
        },
        body,
        signal: AbortSignal.timeout(ANSWER_MS),
      })
      // The status is the answer. What follows is read for the connection's sake; whether it ever ends is all the same, within the time-out.
      answer.body.dump({ limit: 65_536 }).catch(() => {})
      return answer.statusCode >= 200 && answer.statusCode < 300 ? null : `answered ${answer.statusCode}`
    } catch (error) {
      return reasonOf(error)
    }
  }
}

/** @param now wall ms */
function signatureOf(secret: string, now: number, body: string): string {
  const seconds = Math.floor(now / 1_000)
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failed'
  if (error.name === 'TimeoutError') return `no answer within ${ANSWER_MS / 1_000} s`
  return 'code' in error && typeof error.code === 'string' ? `failed: ${error.code}` : `failed: ${error.name}`
}
