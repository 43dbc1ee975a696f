/** Texts that tokenizers find hard, the same at each run. */

/** Numbers from 0 to 1 (excluded), by a linear congruence. */
export function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

const LENGTH = 6_000

function made(seed: number, draw: (random: () => number) => string): string {
  const random = numbers(seed)
  return Array.from({ length: LENGTH }, () => draw(random)).join('')
}

function from(alphabet: string): (random: () => number) => string {
  const characters = [...alphabet]
  return (random) => characters[Math.floor(random() * characters.length)] as string
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

export const HOSTILE: Readonly<Record<string, string>> = {
  base64: made(1, from(BASE64)),
  hex: made(2, from('0123456789abcdef')),
  ascii: made(3, (random) => String.fromCharCode(33 + Math.floor(random() * 94))),
  'control characters': made(4, (random) => String.fromCharCode(Math.floor(random() * 32))),
  'rare scripts': made(5, (random) => String.fromCodePoint(0x1_2000 + Math.floor(random() * 900))),
  'private use': made(6, (random) => String.fromCodePoint(0xe000 + Math.floor(random() * 6_000))),
  emoji: made(7, (random) => String.fromCodePoint(0x1f300 + Math.floor(random() * 700))),
  'alternating scripts': made(8, from('aΩжक漢ن')),
  spaces: ' '.repeat(LENGTH),
  'one word': made(9, from('abcdefghijklmnopqrstuvwxyz')),
  dashes: '-'.repeat(LENGTH),
}
