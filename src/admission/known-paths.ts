/**
 * Known paths: which methods a path exists with, so that a wrong method is answered 405 with `Allow` and not 404.
 *
 * The router finds a route by method and path together and so cannot tell the two apart.
 */

export class KnownPaths {
  readonly #methods = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>()

  /**
   * Makes a route known.
   *
   * @param url a router's pattern: `/v1/models/:id`, `/v1/audio/*`. One whose first part is a parameter would make every path known
   *   and is left out.
   */
  add(url: string, methods: readonly string[]): void {
    if (/^\/?[:*]/.test(url)) return
    const known = this.#methods.get(url) ?? { pattern: patternOf(url), methods: new Set() }
    for (const method of methods) known.methods.add(method)
    this.#methods.set(url, known)
  }

  /** The methods that a path takes, in the order in which they became known; none when there is no such path. */
  methodsOf(path: string): string[] {
    const methods = new Set<string>()
    for (const known of this.#methods.values()) {
      if (known.pattern.test(path)) for (const method of known.methods) methods.add(method)
    }
    return [...methods]
  }
}

/** `::` is a colon, `:name` a part of the path, `:name(…)` what its expression says, and `*` anything. */
const TOKEN = /::|:\w+(\([^)]*\))?\??|\*|[^:*]+/g

function patternOf(url: string): RegExp {
  const source = url.replaceAll(TOKEN, (token, expression?: string) => {
    if (token === '::') return ':'
    if (token === '*') return '.*'
    // Anchored where the router would else take more than one part.
    if (expression !== undefined) return `(?:${expression.slice(1, -1).replace(/^\^|\$$/g, '')})`
    return token.startsWith(':') ? '[^/]+' : RegExp.escape(token)
  })
  return new RegExp(`^${source}$`)
}
