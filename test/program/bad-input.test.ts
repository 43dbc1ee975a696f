/** Bad input gets the contract's error in the caller's own format, and changes no count. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { createKey, launch, onBothDatabases, ownKey, startWithSim, temporaryFolder } from '../helpers/program.ts'

interface Answer {
  readonly status: number
  readonly code: string
}

/** The code of an error body in each of the three shapes. */
function codeOf(format: string, body: unknown): string {
  const error = (body as { error: { code: unknown; details?: unknown } }).error
  if (format !== 'google') return String(error.code)
  const [details] = error.details as readonly { code?: string; reason?: string }[]
  return String(details?.reason ?? details?.code)
}

const routes = [
  {
    format: 'openai',
    path: '/v1/chat/completions',
    body: { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hi' }] },
  },
  {
    format: 'anthropic',
    path: '/v1/messages',
    body: { model: 'claude-haiku-4-5', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] },
  },
  {
    format: 'google',
    path: '/v1beta/models/gemini-2.5-flash:generateContent',
    body: { contents: [{ role: 'user', parts: [{ text: 'hi' }] }] },
  },
] as const

onBothDatabases(
  'a request that cannot be served is refused in the format of its route and counts nowhere',
  async (t, env) => {
    const program = await startWithSim(t, { env, yaml: 'server: { body_limit: 1MiB }' })
    const { key } = await createKey(program, [
      { metric: 'requests', max: 5, window: '1d' },
      { metric: 'cost', max: '1', window: '1d' },
    ])

    for (const { format, path, body } of routes) {
      await t.test(`${format} route`, async () => {
        const valid = JSON.stringify(body)
        const ask = async (
          url: string,
          init: { method?: string; headers?: Record<string, string>; body?: string } = {},
        ): Promise<Answer> => {
          const response = await fetch(`${program.gatewayUrl}${url}`, {
            method: init.method ?? 'POST',
            headers: { 'content-type': 'application/json', 'x-bursar-key': key, ...init.headers },
            ...(init.method === 'GET' ? {} : { body: init.body ?? valid }),
          })
          const text = await response.text()
          assert.equal(response.headers.get('x-bursar-error-source'), 'gateway', `${response.status} ${text}`)
          assert.ok(response.headers.get('x-bursar-request-id'))
          const parsed = JSON.parse(text) as {
            type?: string
            error: { message: string; code: unknown; status?: string }
          }
          assert.ok(parsed.error.message.length > 0)
          if (format === 'anthropic') assert.equal(parsed.type, 'error')
          if (format === 'google')
            assert.deepEqual([parsed.error.code, typeof parsed.error.status], [response.status, 'string'])
          return { status: response.status, code: format === 'google' ? '' : codeOf(format, parsed) }
        }
        const refused = (status: number, code: string): Answer => ({ status, code: format === 'google' ? '' : code })

        assert.deepEqual(await ask(path, { headers: { 'x-bursar-key': '' } }), refused(401, 'key_missing'))
        assert.deepEqual(
          await ask(path, { headers: { 'x-bursar-key': 'sk-bursar-unknown' } }),
          refused(401, 'key_unknown'),
        )
        assert.deepEqual(await ask(`${path}?key=${key}`), refused(400, 'key_in_query'))
        assert.deepEqual(await ask(path, { body: '{"model": ' }), refused(400, 'invalid_request'))
        assert.deepEqual(await ask(path, { body: '[]' }), refused(400, 'invalid_request'))
        if (format !== 'google') {
          const { model: _, ...without } = body as { model: string }
          assert.deepEqual(await ask(path, { body: JSON.stringify(without) }), refused(400, 'invalid_request'))
          const nobodys = JSON.stringify({ ...body, model: 'a-model-nobody-has' })
          assert.deepEqual(await ask(path, { body: nobodys }), refused(404, 'model_not_found'))
        } else {
          assert.deepEqual(
            await ask('/v1beta/models/a-model-nobody-has:generateContent'),
            refused(404, 'model_not_found'),
          )
        }
        assert.deepEqual(
          await ask(path, { body: `"${'x'.repeat(2 * 1_024 * 1_024)}"` }),
          refused(413, 'request_too_large'),
        )
        assert.deepEqual(await ask(path, { method: 'PUT' }), refused(405, 'method_not_allowed'))
        assert.deepEqual(
          await ask(path, { headers: { 'content-type': 'text/plain' } }),
          refused(415, 'unsupported_media_type'),
        )
        assert.deepEqual(
          await ask(path, { headers: { 'content-encoding': 'gzip' } }),
          refused(415, 'unsupported_media_type'),
        )
      })
    }

    const { limits } = await ownKey(program, key)
    assert.deepEqual(
      limits.map(({ posted, held }) => [posted, held]),
      [
        [0, 0],
        ['0.00', '0.00'],
      ],
    )
    assert.equal(program.sim.ledger().length, 0, 'no request reached the provider')
  },
)

test('a start with a bad setting stops with one line that says what to write instead', async (t) => {
  const starts: readonly [title: string, options: Parameters<typeof launch>[1], said: RegExp][] = [
    ['a port that is none', { env: { BURSAR_PORT: 'http' } }, /BURSAR_PORT="http".*a number from 0 to 65535/],
    ['a variable nobody knows', { env: { BURSAR_PROT: '1' } }, /BURSAR_PROT.*known are/],
    ['a cron that is none', { env: { BURSAR_DUMP_CRON: 'often' } }, /BURSAR_DUMP_CRON="often".*\*\/10/],
    ['a database address that is none', { env: { DATABASE_URL: 'mysql://somewhere' } }, /DATABASE_URL.*postgres:\/\//],
    ['YAML that is none', { yaml: 'providers: [' }, /yaml:\d+:\d+/],
    ['a setting nobody knows', { yaml: 'require_keys: true' }, /yaml:1:1.*require_keys/],
    ['a value of the wrong kind', { yaml: 'server:\n  max_attempts: many' }, /yaml:2:\d+.*max_attempts/],
    ['an absent environment variable', { yaml: `aliases: { fast: "$\{NO_SUCH_NAME}" }` }, /NO_SUCH_NAME/],
  ]
  for (const [title, options, said] of starts) {
    await t.test(title, async (t) => {
      const { child, output } = launch(join(temporaryFolder(t), 'data'), options)
      const [code] = await once(child, 'exit')
      assert.equal(code, 1)
      const lines = output().trim().split('\n')
      assert.equal(lines.length, 1, output())
      assert.match(lines[0] as string, said)
    })
  }
})
