import assert from 'node:assert/strict'
import { open, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { silentLog } from '../../src/units/log.ts'
import { Spool } from '../../src/uploads/spool.ts'

const B = 'xYzZy'
const HEAD = `--${B}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n`
const TAIL = `\r\n--${B}\r\nContent-Disposition: form-data; name="model"\r\n\r\nmodel-a\r\n--${B}--\r\n`

async function* pieces(...parts: (string | Buffer | Error)[]): AsyncGenerator<Buffer> {
  for (const part of parts) {
    if (part instanceof Error) throw part
    yield Buffer.from(part)
  }
}

test('a form can be read any number of times, with its model replaced, and goes when it is released', async () => {
  const spool = new Spool({ bodyMaxBytes: 10_000_000, log: silentLog })
  const sound = Buffer.alloc(700_001, 'sound')
  const taken = await spool.take(pieces(HEAD, sound, TAIL), B)
  assert.ok(taken.ok)
  const { form, upload, release } = taken.value
  const span = form.spanOf('model')
  assert.ok(span)
  const whole = HEAD + sound.toString() + TAIL
  const read = async (text: string | null) =>
    Buffer.concat(await Array.fromAsync(upload.read(text === null ? [] : [{ ...span, text }]))).toString()
  assert.equal(await read(null), whole)
  assert.equal(await read('longer-model'), whole.replace('model-a', 'longer-model'))
  assert.equal(await read('m'), whole.replace('model-a', 'm'))
  assert.equal(upload.bytes, whole.length)
  assert.deepEqual(
    (await readdir(tmpdir())).filter((name) => name.startsWith('bursar-form-')),
    [],
  )
  release()
  release()
  assert.equal(spool.files, 0)
})

test('a file that is being read outlives its release', async () => {
  const spool = new Spool({ bodyMaxBytes: 10_000_000, log: silentLog })
  const taken = await spool.take(pieces(HEAD, Buffer.alloc(2_000_000, 'sound'), TAIL), B)
  assert.ok(taken.ok)
  const reading = taken.value.upload.read([])
  const unread = taken.value.upload.read([])
  taken.value.release()
  assert.equal(spool.files, 1)
  unread.destroy()
  assert.equal(Buffer.concat(await Array.fromAsync(reading)).length, taken.value.upload.bytes)
  assert.equal(spool.files, 0)
})

test('a form that is too large is refused before its end, and leaves nothing', async () => {
  const spool = new Spool({ bodyMaxBytes: 1_000, log: silentLog })
  let given = 0
  async function* endless() {
    yield Buffer.from(HEAD)
    for (;;) {
      given += 1
      yield Buffer.alloc(100)
    }
  }
  const taken = await spool.take(endless(), B)
  assert.equal(taken.ok ? null : taken.refusal.code, 'request_too_large')
  assert.ok(given < 20)
  assert.equal(spool.files, 0)
})

test('all forms together are bounded', async () => {
  const spool = new Spool({ bodyMaxBytes: 10_000, totalMaxBytes: 15_000, log: silentLog })
  const take = () => spool.take(pieces(HEAD, Buffer.alloc(8_000), TAIL), B)
  const first = await take()
  assert.ok(first.ok)
  const second = await take()
  assert.equal(second.ok ? null : second.refusal.code, 'overloaded')
  first.value.release()
  const third = await take()
  assert.ok(third.ok)
  third.value.release()
  assert.equal(spool.files, 0)
})

test('a full disk refuses the form as overloaded, and leaves nothing', async () => {
  const spool = new Spool({ bodyMaxBytes: 10_000_000, log: silentLog, openFile: () => open('/dev/full', 'r+') })
  const taken = await spool.take(pieces(HEAD, Buffer.alloc(100_000), TAIL), B)
  assert.equal(taken.ok ? null : taken.refusal.code, 'overloaded')
  assert.equal(spool.files, 0)
})

test('a folder that takes no files refuses the form as overloaded', async () => {
  const spool = new Spool({ bodyMaxBytes: 1_000, log: silentLog, openFile: () => open('/nowhere/at/all', 'wx+') })
  const taken = await spool.take(pieces(HEAD, TAIL), B)
  assert.equal(taken.ok ? null : taken.refusal.code, 'overloaded')
})

test('a client that breaks off leaves nothing', async () => {
  const spool = new Spool({ bodyMaxBytes: 1_000, log: silentLog })
  const broken = new Error('aborted')
  await assert.rejects(spool.take(pieces(HEAD, broken), B), broken)
  assert.equal(spool.files, 0)
})
