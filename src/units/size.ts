/** Sizes as people write them: `512KiB`, `32MiB`, `4GiB`. */

const UNIT_BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** What a refusal shows. */
export const SIZE_FORMS = 'a size such as 512KiB, 32MiB or 4GiB'

/** Bytes, or `null` when the text is not a whole number of B, KiB, MiB or GiB above zero. */
export function parseSize(text: string): number | null {
  const parts = /^(\d{1,9})(B|KiB|MiB|GiB)$/.exec(text)
  if (parts === null) return null
  const bytes = Number(parts[1]) * (UNIT_BYTES[parts[2] ?? ''] ?? 0)
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : null
}
