/** Weights: an order drawn at random in which an item's chance to come next is its share of what is left. */

/**
 * @param random from 0 to 1, 1 excluded
 * @returns the items with a weight above zero, each once
 */
export function drawByWeight<T>(items: readonly T[], weightOf: (item: T) => number, random: () => number): T[] {
  const left = items.filter((item) => weightOf(item) > 0)
  // One alone need not be drawn.
  if (left.length < 2) return left
  const drawn: T[] = []
  while (left.length > 0) {
    let point = random() * left.reduce((sum, item) => sum + weightOf(item), 0)
    let index = 0
    while (index < left.length - 1 && point >= weightOf(left[index] as T)) {
      point -= weightOf(left[index] as T)
      index += 1
    }
    drawn.push(...left.splice(index, 1))
  }
  return drawn
}
