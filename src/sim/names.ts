/** Names in memory are camelCase; in JSON and headers their words stand apart. */
export function separated(camelCase: string, separator: '_' | '-'): string {
  return camelCase.replace(/[A-Z]/g, (letter) => `${separator}${letter.toLowerCase()}`)
}
