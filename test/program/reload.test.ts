/** Reading the database again after somebody has worked on it by hand. */
import assert from 'node:assert/strict'
import pg from 'pg'
import { createKey, onBothDatabases, ownKey, startWithSim } from '../helpers/program.ts'

const ROUNDS = 12

onBothDatabases('F16 a reload in the midst of changes loses none of them', async (t, env) => {
  const program = await startWithSim(t, { env })
  const keys = await Promise.all(
    Array.from({ length: ROUNDS }, async () => {
      const [key] = await Promise.all([createKey(program), program.admin('POST', '/reload', {}, 200)])
      return key
    }),
  )
  for (const { key } of keys) await ownKey(program, key)
})

onBothDatabases(
  'an explanation asked by an admin says of a disabled key what its own request would hear',
  async (t, env) => {
    const program = await startWithSim(t, { env })
    const { id } = await createKey(program)
    const ask = {
      virtual_key_id: id,
      path: '/v1/chat/completions',
      body: { model: 'gpt-4o-mini', messages: [], max_tokens: 5 },
    }
    assert.equal((await program.admin('POST', '/explain', ask, 200)).verdict, 'allow')
    await program.admin('PATCH', `/virtual-keys/${id}`, { active: false })
    const { verdict, code } = await program.admin('POST', '/explain', ask, 200)
    assert.deepEqual([verdict, code], ['refuse', 'key_disabled'])
    const databaseUrl = env.DATABASE_URL
    if (databaseUrl === undefined) return
    const client = new pg.Client({ connectionString: databaseUrl })
    await client.connect()
    await client.query('update virtual_keys set active = true where id = $1', [id])
    await client.end()
    await program.admin('POST', '/reload', {}, 200)
    assert.equal(
      (await program.admin('POST', '/explain', ask, 200)).verdict,
      'allow',
      'direct SQL counts after a reload',
    )
  },
)
