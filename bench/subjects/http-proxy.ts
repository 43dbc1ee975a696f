/** A bare @fastify/http-proxy, as its README registers it: it governs nothing. `argv[2]`: where to. */
import type { AddressInfo } from 'node:net'
import httpProxy from '@fastify/http-proxy'
import Fastify from 'fastify'

const app = Fastify()
app.register(httpProxy, { upstream: process.argv[2] ?? '' })
await app.listen({ port: 0, host: '127.0.0.1' })
process.send?.((app.server.address() as AddressInfo).port)
