/** Node.js sends a string in one piece with the head of its answer and bytes in a second one, which is a twentieth of what a small answer costs. */
import { isAscii } from 'node:buffer'

/** Above this Node.js would need memory for the string's bytes, and a second piece costs less than copying. */
const BYTES_MAX = 8_192

/** The same body: as a string where it is short and every character of it is one byte. */
export function inOnePiece(body: Buffer): Buffer | string {
  return body.length <= BYTES_MAX && isAscii(body) ? body.toString('latin1') : body
}
