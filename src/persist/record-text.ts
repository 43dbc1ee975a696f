/** The fields of a record as Postgres writes it, `row(…)::text`: in quotes where it has to be, nothing at all for null. */
export function fieldsOfRecord(text: string): (string | null)[] {
  const fields: (string | null)[] = []
  for (let at = 1; at < text.length; ) {
    let end = at
    if (text[at] === '"') {
      // In quotes, quotes and backslashes stand twice.
      for (end += 1; text[end] !== '"' || text[end + 1] === '"'; end += 1) {
        if (text[end] === '"' || text[end] === '\\') end += 1
      }
      fields.push(text.slice(at + 1, end).replaceAll(/""|\\\\/g, (pair) => pair[0] as string))
      end += 1
    } else {
      while (text[end] !== ',' && text[end] !== ')') end += 1
      fields.push(end === at ? null : text.slice(at, end))
    }
    // Behind the comma, or the parenthesis that ends it.
    at = end + 1
  }
  return fields
}
