/**
 * Address: where a request comes from, and which addresses count as one.
 *
 * Behind a trusted proxy the peer is the proxy, so `X-Forwarded-For` is read from the right: every trusted hop is skipped and the
 * first other address is the client. What stands further left was written by the client itself and proves nothing.
 */
import ipaddr from 'ipaddr.js'

export type Address = ipaddr.IPv4 | ipaddr.IPv6

/** An address and what it counts as. */
export interface ClientAddress {
  readonly address: Address
  /** The IPv4 address itself, or the /64 that one IPv6 customer is given. */
  readonly key: string
}

/** A compiled list of address ranges. */
export interface CidrList {
  contains(address: Address): boolean
}

/** Parses an address; IPv4 inside IPv6 becomes IPv4, zone ids go. Null when the text is no address. */
export function parseAddress(text: string): Address | null {
  const zone = text.indexOf('%')
  const plain = zone < 0 ? text : text.slice(0, zone)
  // Short forms of IPv4 (`127.1`, `0x7f.0.0.1`) mean different things to different parsers: only four decimals are an address.
  if (!plain.includes(':') && !ipaddr.IPv4.isValidFourPartDecimal(plain)) return null
  return ipaddr.isValid(plain) ? ipaddr.process(plain) : null
}

/**
 * Compiles a list of CIDR ranges and single addresses. Entries that cannot be read are given to `onInvalid` and match nothing: an
 * allow list never grows by a typing error.
 */
export function compileCidrs(entries: readonly string[], onInvalid: (entry: string) => void = () => {}): CidrList {
  const ranges: [Address, number][] = []
  for (const entry of entries) {
    const range = parseCidr(entry)
    if (range === null) onInvalid(entry)
    else ranges.push(range)
  }
  return {
    contains: (address) =>
      ranges.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits)),
  }
}

/** A range as network and prefix length, or null. A single address is a range of one. */
export function parseCidr(entry: string): [Address, number] | null {
  const slash = entry.indexOf('/')
  const network = parseAddress(slash < 0 ? entry : entry.slice(0, slash))
  if (network === null) return null
  const width = network.kind() === 'ipv4' ? 32 : 128
  if (slash < 0) return [network, width]
  const length = entry.slice(slash + 1)
  if (!/^\d{1,3}$/.test(length)) return null
  // The prefix of an IPv4-mapped range counts the 96 bits that the mapping adds.
  const mapped = width === 32 && entry.includes(':')
  const bits = Number(length) - (mapped ? 96 : 0)
  return bits >= 0 && bits <= width ? [network, bits] : null
}

/**
 * Reads clients' addresses: the peer's, or the one a chain of trusted proxies reports.
 *
 * Parsing an address takes microseconds and the same few come again and again, so the last ones are remembered.
 */
export class AddressReader {
  readonly #trusted: CidrList | null
  readonly #remembered = new Map<string, ClientAddress | null>()

  /** @param trustedProxies whose `X-Forwarded-For` counts; null = nobody's */
  constructor(trustedProxies: CidrList | null) {
    this.#trusted = trustedProxies
  }

  /**
   * The client's address, or null when it cannot be told (a unix socket).
   *
   * @param peer the socket's remote address
   * @param forwardedFor the `X-Forwarded-For` header, its lines joined by commas
   */
  read(peer: string | undefined, forwardedFor: string | undefined): ClientAddress | null {
    let client = peer === undefined ? null : this.#parse(peer)
    if (client === null || this.#trusted === null || forwardedFor === undefined) return client
    const hops = forwardedFor.split(',')
    while (this.#trusted.contains(client.address)) {
      const hop = hops.pop()
      if (hop === undefined) return client
      const next = this.#parse(withoutPort(hop.trim()))
      // Something that is no address ends what can be believed: the nearest known hop is the client.
      if (next === null) return client
      client = next
    }
    return client
  }

  #parse(text: string): ClientAddress | null {
    let client = this.#remembered.get(text)
    if (client === undefined) {
      const address = parseAddress(text)
      client = address === null ? null : { address, key: addressKey(address) }
      if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear()
      // A header can hold kilobytes; what is longer than an address is not worth remembering.
      if (text.length <= ADDRESS_LENGTH_MAX) this.#remembered.set(text, client)
    }
    return client
  }
}

const REMEMBERED_MAX = 4_096
const ADDRESS_LENGTH_MAX = 64

/** What counts as one address: an IPv4 address, or the /64 that one IPv6 customer is given. */
export function addressKey(address: Address): string {
  if (address.kind() === 'ipv4') return address.toString()
  const network = new ipaddr.IPv6([...(address as ipaddr.IPv6).parts.slice(0, 4), 0, 0, 0, 0])
  return `${network.toRFC5952String()}/64`
}

/** Some proxies write `1.2.3.4:5678` and `[2001:db8::1]:5678`. */
function withoutPort(hop: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(hop)
  if (bracketed !== null) return bracketed[1] ?? ''
  const port = /^([^:]+):\d+$/.exec(hop)
  return port === null ? hop : (port[1] ?? '')
}
