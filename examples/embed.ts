/**
 * Embed: Bursar in a server of your own, with your own routes beside it.
 *
 *   node examples/embed.ts        (in a checkout: node --conditions=bursar-source examples/embed.ts)
 */
import { createBursar, serverOptions } from 'bursar'
import Fastify from 'fastify'

const bursar = await createBursar()

const app = Fastify(serverOptions)
app.get('/hello', async () => ({ keys: bursar.governance.store.virtualKeys.size }))
app.register(bursar.gateway)
const url = await app.listen({ port: Number(process.env.PORT ?? 8080) })

// The admin API on a port that strangers cannot reach. Closed first, so that the last dump has everything.
const admin = Fastify()
admin.register(bursar.admin)
const adminUrl = await admin.listen({ port: Number(process.env.ADMIN_PORT ?? 8081) })

process.stdout.write(`gateway ${url}\nadmin ${adminUrl}\n`)

process.once('SIGTERM', async () => {
  await admin.close()
  await app.close()
})
