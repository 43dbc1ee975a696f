/**
 * Documentation: OpenAPI 3.1 at /api/openapi.json, made from the schemas, and a page to browse it at /docs. Needs no key: it holds no
 * data. Wrapped, because it has to see the routes of its neighbours.
 */
import swagger from '@fastify/swagger'
import reference from '@scalar/fastify-api-reference'
import fp from 'fastify-plugin'
import { errorBody } from '../../src/admission/error-body.ts'
import { type Access, complete, type Document } from '../../src/schemas/open-api.ts'
import { VERSION } from '../../src/version.ts'
import { accessOf } from './authentication.ts'

/** The page must work without a network, and what is typed into it stays here: nothing of it is fetched from or sent to elsewhere. */
const PAGE_POLICY =
  "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; frame-ancestors 'none'"

/** Without what the reference offers by way of its maker's services. */
const OWN_MEANS = {
  withDefaultFonts: false,
  telemetry: false,
  hideClientButton: true,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  mcp: { disabled: true },
} as const

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
        {
          accessOf: (method, path) => access.get(`${method} ${path}`) ?? accessOf(method, {}),
          bodyOf({ details, ...error }) {
            const [problem] = details ?? []
            return errorBody(problem === undefined ? error : { ...error, param: problem.path, details }, 'openai')
          },
        },
      )
      return document
    })
    await fastify.register(reference, {
      routePrefix: '/docs',
      hooks: {
        onRequest(_request, reply, done) {
          reply.header('content-security-policy', PAGE_POLICY)
          done()
        },
      },
      configuration: {
        url: '/api/openapi.json',
        pageTitle: 'Bursar admin API',
        ...OWN_MEANS,
      },
    })
  },
  { name: 'admin-documentation', fastify: '5.x' },
)
