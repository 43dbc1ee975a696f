/**
 * Image size: the width and height that an image given as base64 says it has, read from its first bytes.
 *
 * Tokens are held by it, so nobody may lead it to a smaller size than a decoder sees: it follows the formats (PNG, JPEG, WebP) to the letter and
 * says nothing of whatever departs from them. The usual libraries search for what looks like a size, and find one that is planted.
 */

export interface Pixels {
  readonly width: number
  readonly height: number
}

/** Enough for every PNG and WebP, and for a photograph with little before it. */
const FIRST_BYTES = 3_072
/** A photograph may carry a preview before its size, and profiles. Further on it is left unknown: so much takes a millisecond. */
const MORE_BYTES = [98_304, 393_216]

/** Null where the size cannot be told. */
export function pixelsOf(base64: string): Pixels | null {
  const first = decoded(base64, FIRST_BYTES)
  if (first === null) return null
  let pixels = png(first) ?? webp(first) ?? jpeg(first)
  if (!isJpeg(first)) return pixels
  let read = FIRST_BYTES
  for (const bytes of MORE_BYTES) {
    if (pixels !== null || base64.length <= charactersOf(read)) return pixels
    const more = decoded(base64, bytes)
    if (more === null) return null
    pixels = jpeg(more)
    read = bytes
  }
  return pixels
}

/** Each three bytes are four characters. */
function charactersOf(bytes: number): number {
  return (bytes / 3) * 4
}

/** Null where decoders might differ: what stands between the characters of base64 is skipped by one and refused by another. */
function decoded(base64: string, bytesMax: number): Buffer | null {
  const text = base64.slice(0, charactersOf(bytesMax))
  return /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? Buffer.from(text, 'base64') : null
}

const PNG_START = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')

function png(bytes: Buffer): Pixels | null {
  if (bytes.length < 24 || !PNG_START.equals(bytes.subarray(0, PNG_START.length))) return null
  return sized(bytes.readUInt32BE(16), bytes.readUInt32BE(20))
}

const VP8_START = Buffer.from('9d012a', 'hex')
const VP8L_START = 0x2f

function webp(bytes: Buffer): Pixels | null {
  if (bytes.length < 30 || bytes.toString('latin1', 0, 4) !== 'RIFF' || bytes.toString('latin1', 8, 12) !== 'WEBP') {
    return null
  }
  switch (bytes.toString('latin1', 12, 16)) {
    case 'VP8X':
      return sized(1 + bytes.readUIntLE(24, 3), 1 + bytes.readUIntLE(27, 3))
    case 'VP8 ':
      if (!VP8_START.equals(bytes.subarray(23, 26))) return null
      return sized(bytes.readUInt16LE(26) & 0x3fff, bytes.readUInt16LE(28) & 0x3fff)
    case 'VP8L': {
      const packed = bytes.readUInt32LE(21)
      return bytes[20] === VP8L_START ? sized(1 + (packed & 0x3fff), 1 + ((packed >>> 14) & 0x3fff)) : null
    }
    default:
      return null
  }
}

function isJpeg(bytes: Buffer): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8
}

/** Goes from segment to segment to the one that begins the frame. */
function jpeg(bytes: Buffer): Pixels | null {
  if (!isJpeg(bytes)) return null
  let at = 2
  while (at + 9 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1] as number
    // Any number of these may fill up before a marker.
    if (marker === 0xff) {
      at += 1
      continue
    }
    if (beginsFrame(marker)) return sized(bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5))
    const length = bytes.readUInt16BE(at + 2)
    // Without a length, or behind the scan: no frame begins there.
    if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xda) || length < 2) return null
    at += 2 + length
  }
  return null
}

/** SOF0 to SOF15 without DHT, JPG and DAC, which stand among them. */
function beginsFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
}

function sized(width: number, height: number): Pixels | null {
  return width > 0 && height > 0 ? { width, height } : null
}
