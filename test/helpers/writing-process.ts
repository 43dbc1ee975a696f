/**
 * A process that does what a gateway does to its books, without stopping, until it is killed: hold, settle, dump. Each request id that
 * has been acknowledged, as a client would have seen it, is a line on its standard output.
 *
 * `node writing-process.ts <data directory> <database url or nothing> <limit id>`
 */
import { writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { openBooks } from '../../src/persist/books.ts'
import { openDataDir } from '../../src/persist/data-dir.ts'
import { systemClock } from '../../src/units/clock.ts'
import { silentLog } from '../../src/units/log.ts'
import { held, settled } from './facts.ts'

const [directory = '', url = '', limitId = ''] = process.argv.slice(2)
const { journal, dump } = await openBooks({
  dataDir: openDataDir(directory),
  databaseUrl: url === '' ? null : url,
  secret: 'secret',
  journal: { sync: 1_000, maxSizeBytes: 1_048_576, orphans: 'input' },
  database: { atStart: 'stop', migrations: 'auto' },
  clock: systemClock,
  log: silentLog,
  onLockLost: (error) => {
    throw error
  },
})

async function client(): Promise<never> {
  for (;;) {
    const hold = held({}, [[limitId, 1, 0, 'requests', '1']])
    journal.append(hold)
    await delay(Math.random() * 5)
    journal.append(settled({ ...hold.identity, charges: hold.charges }))
    // Written at once and not through a stream: what a client saw must not depend on what this process still had in mind.
    journal.flushed(() => writeSync(1, `${hold.identity.requestId}\n`))
  }
}

for (let clients = 0; clients < 20; clients++) void client()
for (;;) {
  await dump.run()
  await delay(20)
}
