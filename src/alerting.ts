/** Alerting: what is raised while the gateway runs, and what an earlier run could not deliver, on its way to the webhook. */
import { type Alert, messageOf } from './alerts/alert.ts'
import { GIVE_UP_MS, Outbox } from './alerts/outbox.ts'
import { type DeliveryError, webhookTo } from './alerts/webhook.ts'
import type { Governance } from './governance.ts'
import { alertOf, latestLimitAlerts, undeliveredAlerts } from './persist/repositories/alerts.ts'
import type { Db } from './persist/repositories/db.ts'
import type { Log } from './units/log.ts'

export interface Alerting {
  /** Alerts that wait for the webhook. */
  readonly waiting: number
  /** Sends a test alert, whose delivery is in the books like any other's. Null when no webhook is configured. */
  test(): Promise<{ id: string; error: DeliveryError } | null>
  close(): Promise<void>
}

/** Limits whose alerts are remembered from before the start. */
const SAID_MAX = 100_000
const UNDELIVERED_MAX = 10_000

/** After the store is loaded, before the first request. */
export async function startAlerting(governance: Governance, db: Db, log: Log): Promise<Alerting> {
  const { alerts, notices, store, facts, clock, settings } = governance
  alerts.load(await latestLimitAlerts(db, SAID_MAX))
  const { webhook } = settings.alerts
  if (webhook === null) return { waiting: 0, test: async () => null, close: async () => {} }

  const outbox = new Outbox({
    deliver: webhookTo(webhook, clock),
    messageOf: (alert) => messageOf(alert, store),
    facts,
    clock,
    log,
  })
  const send = (alert: Alert) => outbox.add(alert)
  alerts.onRaise(send)
  // A test is delivered by whoever asked for it, who waits for what becomes of it.
  notices.onRaise((notice) => {
    if (notice.t !== 'notice' || notice.kind !== 'test') send(notice)
  })
  const undelivered = await undeliveredAlerts(db, clock.now() - GIVE_UP_MS, UNDELIVERED_MAX)
  for (const row of undelivered) if (row.kind !== 'test') outbox.add(alertOf(row), row.delivery_attempts)
  return {
    get waiting() {
      return outbox.waiting
    },
    async test() {
      const notice = notices.raise('test', 'This is a test of the webhook, asked for by an admin.')
      return { id: notice.id, error: await outbox.deliverNow(notice) }
    },
    close: () => outbox.close(),
  }
}
