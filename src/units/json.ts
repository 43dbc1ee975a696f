/**
 * JSON from strangers, read as every other parser reads it.
 *
 * V8 14 (Node.js 26) takes the escaped name in `{"max_tok\u0065ns":1}` for the name `max_tok\u0` once it has parsed an object with that
 * one: it compares what is expected with the text before its escapes are resolved. A stranger could so hide a field from us that the
 * provider sees. Names are therefore written without needless escapes before they are read; those that must have one (a quote, a backslash,
 * a control character) are no names that anything here looks for.
 */

/** Any string, and the colon behind it where it is a name. Linear in what is valid JSON. */
const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?/g

/** As `JSON.parse`, its errors included. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text)
  if (!text.includes('\\u') && !text.includes('\\/')) return value
  let isPlain = true
  const plain = text.replace(STRING, (found: string, colon: string | undefined) => {
    if (colon === undefined || !found.includes('\\')) return found
    const name = found.slice(0, -colon.length)
    const written = JSON.stringify(JSON.parse(name))
    if (written !== name) isPlain = false
    return written + colon
  })
  return isPlain ? value : JSON.parse(plain)
}
