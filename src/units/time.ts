/** Times at the edges: RFC 3339 in, RFC 3339 UTC out, milliseconds inside. */

const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/

/** Milliseconds since the epoch, or `null` when the text is no RFC 3339 time that exists. */
export function parseTime(text: string): number | null {
  const parts = RFC3339.exec(text)
  if (parts === null) return null
  const day = Number(text.slice(8, 10))
  const daysInMonth = new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0)).getUTCDate()
  if (day > daysInMonth) return null
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? null : ms
}

/** Said last: the end of the month stands in every answer. */
let lastMs = Number.NaN
let lastText = ''

/** Seconds where they are whole, else milliseconds: `2026-12-01T00:00:00Z`. */
export function formatTime(ms: number): string {
  if (ms !== lastMs) {
    lastText = new Date(ms).toISOString().replace('.000Z', 'Z')
    lastMs = ms
  }
  return lastText
}

/** The same for what may be absent or never come. */
export function formatTimeOrNull(ms: number | null): string | null {
  return ms === null || !Number.isFinite(ms) ? null : formatTime(ms)
}
