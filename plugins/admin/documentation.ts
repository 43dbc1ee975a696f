/**
 * Documentation: OpenAPI 3.1 at /api/openapi.json, made from the schemas, and a page to browse it at /docs. Needs no key: it holds no
 * data. Wrapped, because it has to see the routes of its neighbours.
 */
import swagger from '@fastify/swagger'
import reference from '@scalar/fastify-api-reference'
import fp from 'fastify-plugin'
import { type Access, complete, type Document } from '../../src/schemas/open-api.ts'
import { VERSION } from '../../src/version.ts'
import { accessOf } from './authentication.ts'

export default fp(
  async function documentation(fastify) {
    await fastify.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Bursar admin API',
          version: VERSION,
          description:
            'Customers, teams, users, virtual keys, limits, providers and prices, and what has been used. Money is a decimal string in US dollars, times are RFC 3339 UTC, lists are read page by page with `limit` and `cursor`.',
        },
        components: {
          securitySchemes: {
            management_key: { type: 'http', scheme: 'bearer', description: 'A management key, or BURSAR_ADMIN_KEY.' },
          },
        },
        security: [{ management_key: [] }],
      },
    })
    const access = new Map<string, Access>()
    fastify.addHook('onRoute', ({ method, url, config }) => {
      // `/api/teams/:id` stands there as `/api/teams/{id}`.
      const path = url.replaceAll(/:(\w+)/g, '{$1}')
      for (const one of [method].flat()) access.set(`${one} ${path}`, accessOf(one, config))
    })
    let document: object | null = null
    fastify.get('/api/openapi.json', { schema: { hide: true } }, async () => {
      document ??= complete(
        // Its types leave open what may be a reference; ours has none.
        fastify.swagger() as unknown as Document,
        (method, path) => access.get(`${method} ${path}`) ?? accessOf(method, {}),
      )
      return document
    })
    // Script and fonts are served from here or left out: the page must work without a network.
    await fastify.register(reference, {
      routePrefix: '/docs',
      configuration: {
        url: '/api/openapi.json',
        withDefaultFonts: false,
        telemetry: false,
        pageTitle: 'Bursar admin API',
      },
    })
  },
  { name: 'admin-documentation', fastify: '5.x' },
)
