/** Every metric on every level, through the real program: held before forwarding, settled after, refused where it says. */
import assert from 'node:assert/strict'
import { eventually } from '../helpers/eventually.ts'
import { createKey, onBothDatabases, ownKey, type Program, startWithSim } from '../helpers/program.ts'

const levels = ['user', 'virtual_key', 'team', 'customer', 'global'] as const
/** Each has room for one call of the test and none for a second. */
const metrics = [
  { metric: 'cost', max: '0.0001', status: 402, code: 'budget_exceeded' },
  { metric: 'requests', max: 1, status: 429, code: 'rate_limited' },
  { metric: 'tokens', max: 150, status: 429, code: 'rate_limited' },
] as const

interface Entity {
  readonly id: string
}

interface Refusal {
  readonly error: { readonly code: string; readonly details: { readonly scope: string; readonly limit_id: string } }
}

let made = 0

/** A key with everything above it. */
async function aChain(program: Program) {
  made += 1
  const customer = await program.admin<Entity>('POST', '/customers', { name: `customer-${made}` })
  const team = await program.admin<Entity>('POST', '/teams', { name: `team-${made}`, customer_id: customer.id })
  const user = await program.admin<Entity>('POST', '/users', { name: `user-${made}` })
  const { id, key } = await createKey(program, [], { user_id: user.id, team_id: team.id })
  return { key, ids: { user: user.id, virtual_key: id, team: team.id, customer: customer.id, global: null } }
}

function call(program: Program, key: string, model: string): Promise<Response> {
  return fetch(`${program.gatewayUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    // About 100 tokens of output are answered as asked, so that what was used comes close to what was held.
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'count' }], max_tokens: 100 }),
  })
}

onBothDatabases(
  'F01 T08 T12 a limit on any level and metric admits what fits and refuses the rest by its own name',
  async (t, env) => {
    const program = await startWithSim(t, { env })
    program.sim.configure({ outputTokens: 100 })
    for (const level of levels) {
      for (const { metric, max, status, code } of metrics) {
        await t.test(`${metric} of a ${level}`, async () => {
          const { key, ids } = await aChain(program)
          // Global limits meet everybody, so each of these looks at a model of its own.
          const model =
            level === 'global' ? { cost: 'gpt-4o', requests: 'gpt-4.1', tokens: 'gpt-5-mini' }[metric] : 'gpt-4o-mini'
          const price = level === 'global' && metric === 'cost' ? '0.002' : max
          const limit = await program.admin<Entity>('POST', '/limits', {
            scope: ids[level] === null ? { kind: level } : { kind: level, id: ids[level] },
            metric,
            max: price,
            window: '1d',
            ...(level === 'global' ? { provider: 'sim', model } : {}),
          })
          const first = await call(program, key, model)
          assert.equal(first.status, 200, await first.text())
          const second = await call(program, key, model)
          const { error } = (await second.json()) as Refusal
          assert.deepEqual([second.status, error.code], [status, code], JSON.stringify(error))
          assert.deepEqual([error.details.scope, error.details.limit_id], [level, limit.id])
          const usage = await eventually(async () => {
            const { data } = await program.admin<{ data: { id: string; usage: Usage }[] }>('GET', '/limits?limit=1000')
            const found = data.find(({ id }) => id === limit.id)
            assert.ok(found)
            return found.usage
          })
          assert.equal(Number(usage.held), 0)
          assert.ok(Number(usage.posted) > 0 && Number(usage.posted) <= Number(price))
          if (level !== 'global') assert.equal((await ownKey(program, key)).limits.length, 1)
          await program.admin('DELETE', `/limits/${limit.id}`)
          assert.equal((await call(program, key, model)).status, 200, 'a deleted limit is gone with the next request')
        })
      }
    }
  },
)

interface Usage {
  readonly posted: string | number
  readonly held: string | number
}
