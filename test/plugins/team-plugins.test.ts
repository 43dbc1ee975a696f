/** What a platform team's plugin may do to a request, and what its failures do not do to anybody. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import officeHours from '../../examples/office-hours.ts'
import { Extensions } from '../../src/extension/extensions.ts'
import type { Hooks, SettledEvent } from '../../src/extension/hooks.ts'
import { linesOf } from '../../src/ledger/charges.ts'
import { startSim } from '../../src/sim/server.ts'
import type { Log } from '../../src/units/log.ts'
import { eventually } from '../helpers/eventually.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'

const CHAT = { model: 'gpt-4o-mini', max_tokens: 20, messages: [{ role: 'user', content: 'hi' }] }

function hooks(fields: Partial<Hooks>): Hooks {
  const nothing = { name: 'rules', refusals: { closed: 403 }, timeoutMs: 60_000 }
  return { ...nothing, beforeAdmission: null, afterSettlement: null, ...fields }
}

async function gatewayWith(
  t: TestContext,
  ...all: Hooks[]
): Promise<TestGateway & { extensions: Extensions; logged: object[] }> {
  const sim = await startSim({ port: 0 })
  t.after(() => sim.close())
  const logged: object[] = []
  const log: Log = { debug() {}, info() {}, warn() {}, error: (fields) => logged.push(fields) }
  const extensions = new Extensions(all, log)
  const gateway = await startGateway(t, { extensions })
  gateway.provider({ kind: 'sim', baseUrl: sim.url })
  gateway.key()
  return { ...gateway, extensions, logged }
}

async function errorOf(response: Response): Promise<Record<string, unknown>> {
  return ((await response.json()) as { error: Record<string, unknown> }).error
}

test('before admission a plugin sees who asks for what, and its tags stand in the event', async (t) => {
  const asked: unknown[] = []
  const gateway = await gatewayWith(
    t,
    hooks({
      beforeAdmission: (request) => {
        asked.push(request)
        return { tags: ['first'] }
      },
    }),
    hooks({ name: 'second', beforeAdmission: async ({ tags }) => ({ tags: tags.map((tag) => `${tag}-seen`) }) }),
  )
  const response = await gateway.post('/v1/chat/completions', CHAT, { 'x-bursar-tags': 'theirs' })
  assert.equal(response.status, 200)
  await response.text()
  await gateway.settled()
  assert.deepEqual(gateway.events()[0]?.tags, ['theirs', 'first', 'theirs-seen', 'first-seen'])
  const text = JSON.stringify(asked[0])
  assert.match(text, /"model":"gpt-4o-mini".*"virtualKey":\{"id":/)
  assert.doesNotMatch(text, /hash/)
})

test('a refusal has the code, the status and the form that the caller expects, and nothing is held', async (t) => {
  const refuse = { code: 'closed', message: 'Come back tomorrow.', retryAfterS: 60 }
  const gateway = await gatewayWith(t, hooks({ beforeAdmission: () => ({ refuse }) }))
  const openai = await gateway.post('/v1/chat/completions', CHAT)
  assert.deepEqual([openai.status, openai.headers.get('retry-after')], [403, '60'])
  assert.deepEqual(await errorOf(openai), {
    message: 'Come back tomorrow.',
    type: 'permission_error',
    code: 'closed',
    param: null,
    details: null,
  })
  const anthropic = await gateway.post('/v1/messages', CHAT)
  assert.equal((await errorOf(anthropic)).code, 'closed')
  const dry = await gateway.post('/v1/chat/completions', CHAT, { 'x-bursar-dry-run': '1' })
  assert.equal(dry.status, 200)
  const { verdict, code } = (await dry.json()) as Record<string, unknown>
  assert.deepEqual([verdict, code], ['refuse', 'closed'])
  await gateway.settled()
  assert.deepEqual(gateway.events(), [])
})

for (const [what, fails] of [
  [
    'throws',
    () => {
      throw new Error('secret of the plugin')
    },
  ],
  ['rejects', () => Promise.reject(new Error('secret of the plugin'))],
  ['never answers', () => new Promise<never>(() => {})],
  ['refuses with a code it has not declared', () => ({ refuse: { code: 'opened', message: 'x' } })],
  ['answers something else', () => 'no' as unknown as undefined],
  ['adds a tag that is too long', () => ({ tags: ['x'.repeat(65)] })],
] as const satisfies [string, Hooks['beforeAdmission']][]) {
  test(`a plugin that ${what} before admission refuses its request with internal, and nothing is held`, async (t) => {
    const gateway = await gatewayWith(t, hooks({ timeoutMs: 50, beforeAdmission: fails }))
    const response = await gateway.post('/v1/chat/completions', CHAT)
    assert.equal(response.status, 500)
    const { code, message } = await errorOf(response)
    assert.equal(code, 'internal')
    assert.doesNotMatch(String(message), /secret/)
    assert.equal((gateway.logged[0] as { plugin: string }).plugin, 'rules')
    assert.deepEqual(gateway.extensions.failures, [{ plugin: 'rules', hook: 'beforeAdmission', count: 1 }])
    await gateway.settled()
    assert.deepEqual(gateway.events(), [])
  })
}

test('after settlement every plugin sees the event, whatever another one does, and the books are right', async (t) => {
  const seen: SettledEvent[] = []
  const gateway = await gatewayWith(
    t,
    hooks({
      name: 'throws',
      afterSettlement: () => {
        throw new Error('no')
      },
    }),
    hooks({ name: 'hangs', timeoutMs: 50, afterSettlement: () => new Promise(() => {}) }),
    hooks({ name: 'sees', afterSettlement: (event) => seen.push(event) }),
  )
  const response = await gateway.post('/v1/chat/completions', CHAT)
  assert.equal(response.status, 200)
  await response.text()
  await gateway.settled()
  const failures = () => gateway.extensions.failures.map(({ plugin, count }) => `${plugin} ${count}`).sort()
  await eventually(() => assert.deepEqual(failures(), ['hangs 1', 'sees 0', 'throws 1']))
  const [event] = gateway.events()
  const { charges, ...told } = event ?? assert.fail('an event')
  assert.ok(linesOf(charges).length > 0)
  assert.deepEqual(seen, [told])
})

test('the example keeps office hours in its own time zone', () => {
  const options = { open: '08:00', close: '18:00', timezone: 'Europe/Berlin' }
  const at = (time: string) =>
    officeHours.beforeAdmission?.(
      { now: Date.parse(time) } as Parameters<NonNullable<typeof officeHours.beforeAdmission>>[0],
      options,
    )
  assert.deepEqual(at('2026-07-01T06:00:00Z'), { tags: ['office-hours'] })
  assert.deepEqual(at('2026-07-01T05:59:59Z'), {
    refuse: {
      code: 'outside_office_hours',
      message: 'Models answer on workdays from 08:00 to 18:00 (Europe/Berlin); it is 07:59 now.',
    },
  })
  assert.ok(JSON.stringify(at('2026-07-01T16:00:00Z')).includes('refuse'))
  assert.ok(JSON.stringify(at('2026-07-04T10:00:00Z')).includes('refuse'), 'a Saturday')
})
