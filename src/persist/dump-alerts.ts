/** The dump's statements about alerts: what somebody should be told of, and whether the webhook has taken it. */
import { sql, type Transaction } from 'kysely'
import type { AlertFact, DeliveryFact, NoticeFact } from '../ledger/facts.ts'
import { recordset } from './dump-statements.ts'
import type { Tables } from './tables.ts'

type Trx = Transaction<Tables>

/** Writes down which shares of limits were reached; a share that has its row for that window is passed over. */
export async function insertAlerts(trx: Trx, alerts: readonly AlertFact[]): Promise<void> {
  const columns = `id uuid, at double precision, "limitId" uuid, "countNumber" integer, "windowStart" double precision,
    metric text, threshold text, used bigint, max bigint, message text`
  await sql`
    insert into alerts (id, at, limit_id, count_number, window_start, metric, threshold, used, max, message)
    select id, to_timestamp(at / 1000), "limitId", "countNumber", to_timestamp("windowStart" / 1000), metric, threshold, used, max,
      message
    from ${recordset(alerts, columns)}
    order by "limitId", "countNumber", "windowStart", threshold
    on conflict do nothing`.execute(trx)
}

/** Writes down what somebody should be told of that is about no limit. */
export async function insertNotices(trx: Trx, notices: readonly NoticeFact[]): Promise<void> {
  const columns = 'id uuid, at double precision, kind text, "subjectId" uuid, message text'
  await sql`
    insert into alerts (id, at, kind, subject_id, message)
    select id, to_timestamp(at / 1000), kind, "subjectId", message from ${recordset(notices, columns)} order by id
    on conflict do nothing`.execute(trx)
}

/** What has become of alerts at the webhook, each alert once. One that was taken stays taken. */
export async function recordDeliveries(trx: Trx, deliveries: readonly DeliveryFact[]): Promise<void> {
  const columns = '"alertId" uuid, at double precision, attempts integer, error text'
  await sql`
    update alerts as a set
      delivery_attempts = greatest(a.delivery_attempts, r.attempts),
      delivered_at = case when r.error is null then to_timestamp(r.at / 1000) end,
      delivery_error = r.error
    from ${recordset(deliveries, columns)} where a.id = r."alertId" and a.delivered_at is null`.execute(trx)
}
