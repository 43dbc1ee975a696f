import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Histogram, Registry } from 'prom-client'
import { Definer } from '../../src/metrics/definer.ts'
import { Distribution } from '../../src/metrics/distribution.ts'

test('says line for line what prom-client’s own histogram says', async () => {
  const bounds = [0.001, 0.25, 1, 30]
  const values = fc.oneof(fc.constantFrom(...bounds), fc.double({ min: 0, max: 40, noNaN: true }))
  await fc.assert(
    fc.asyncProperty(fc.array(values), fc.array(values, { minLength: 1 }), async (a, b) => {
      const [theirs, ours] = [new Registry(), new Registry()]
      const histogram = new Histogram({
        name: 'x',
        help: 'h',
        labelNames: ['provider'],
        buckets: bounds,
        registers: [theirs],
      })
      const distributions = new Map<string, Distribution>()
      new Definer(ours).histogram('x', 'h', () => [...distributions].map(([provider, one]) => [{ provider }, one]))
      for (const [provider, list] of Object.entries({ a, b })) {
        for (const value of list) {
          histogram.observe({ provider }, value)
          if (!distributions.has(provider)) distributions.set(provider, new Distribution(bounds))
          distributions.get(provider)?.add(value)
        }
      }
      assert.equal(await ours.metrics(), await theirs.metrics())
    }),
  )
})
