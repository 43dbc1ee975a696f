/** The same column with room for `length` numbers. */
export function grown<T extends Float64Array | BigInt64Array | Uint32Array | Int32Array>(column: T, length: number): T {
  const longer = new (column.constructor as new (length: number) => T)(length)
  // Of the same class, which the type of a class not yet chosen does not say.
  longer.set(column as never)
  return longer
}
