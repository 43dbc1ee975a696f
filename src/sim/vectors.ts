/** Embedding vectors: of length one, and the same for the same text, so that caches and comparisons behave as with a real model. */
import { hash } from 'node:crypto'
import { Refused } from './errors.ts'
import { randomFrom } from './random.ts'

const DIMENSIONS_MAX = 8192

export function vectorOf(input: string | readonly number[], dimensions: number): Float32Array {
  if (dimensions < 1 || dimensions > DIMENSIONS_MAX) {
    throw new Refused(400, `The number of dimensions must be from 1 to ${DIMENSIONS_MAX}.`, { param: 'dimensions' })
  }
  const text = typeof input === 'string' ? input : input.join(' ')
  const random = randomFrom(hash('sha256', text, 'buffer').readInt32LE())
  const vector = Float32Array.from({ length: dimensions }, () => random() * 2 - 1)
  const length = Math.hypot(...vector)
  return vector.map((value) => value / length)
}

/** As the `base64` encoding format has it: the floats' bytes, little-endian. */
export function base64Of(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
}
