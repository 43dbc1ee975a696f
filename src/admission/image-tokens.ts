/**
 * Image tokens: how many input tokens an image may be billed, by the rules that providers publish for their models.
 *
 * A bound: where a rule and its measured bills differ, the dearer one stands here, and an image of unknown size is as large as any. Sources: OpenAI,
 * "Images and vision" (tiles and patches; multipliers as measured where they are dearer), Anthropic, "Vision", Google, "Media resolution" and
 * "Understand and count tokens".
 */
import type { Pixels } from './image-size.ts'

/** An image that a model is to look at. */
export interface ImageFacts {
  /** Null where it cannot be told. */
  readonly pixels: Pixels | null
  /** OpenAI's `detail`, as it was sent; null where there is none. */
  readonly detail: string | null
}

interface Rule {
  /** Of a model's name without a vendor before it. */
  readonly models: RegExp
  readonly tokens: (image: ImageFacts, model: string) => number
}

/** The first that fits counts. */
const RULES: readonly Rule[] = [
  { models: /^gpt-4o-mini/, tokens: tiles(2_833, 5_667) },
  { models: /^gpt-4\.1-nano|^gpt-5-nano/, tokens: patches(1_536, 2.46) },
  { models: /^gpt-4\.1-mini|^gpt-5-mini/, tokens: patches(1_536, 1.62) },
  { models: /^o4-mini|^codex-mini/, tokens: patches(1_536, 1.72) },
  // The guide had both rules for it.
  { models: /^gpt-4\.1/, tokens: (image) => Math.max(tiles(85, 170)(image), patches(1_536, 1)(image)) },
  { models: /^(chat)?gpt-4/, tokens: tiles(85, 170) },
  { models: /^o[13]/, tokens: tiles(75, 150) },
  { models: /^computer-use/, tokens: tiles(65, 129) },
  { models: /^gpt-5(\.1)?(-(?!.*(mini|nano))|$)/, tokens: tiles(70, 140) },
  { models: /^gpt-(5\.|[6-9]|\d\d)/, tokens: (image, model) => patches(budgetOf(image), multiplierOf(model))(image) },
  // Its own tiles, and 6,240 for what is not square and asked to be kept faithfully.
  { models: /^(chat)?gpt-image/, tokens: (image) => tiles(65, 129)({ ...image, detail: null }) + 6_240 },
  { models: /claude-(2|3|instant)|claude-(opus|sonnet|haiku)-4(-[0-6]\b|-2|@|$)/, tokens: squares(1_600) },
  { models: /claude/, tokens: squares(4_800) },
  { models: /^gemini-([3-9]|\d\d)/, tokens: () => 2_300 },
  { models: /^gemini/, tokens: crops },
]

/** Of one image at a model; null where no rule is known for it. */
export function imageInputTokens(image: ImageFacts, model: string): number | null {
  const name = model
    .slice(model.lastIndexOf('/') + 1)
    .toLowerCase()
    .replace(/^ft:/, '')
  return RULES.find(({ models }) => models.test(name))?.tokens(image, name) ?? null
}

/** A page as it is looked at, and what a dense one has of text; billed together, but by Gemini, which bills the picture alone. */
const PAGE: ImageFacts = { pixels: { width: 1_700, height: 2_200 }, detail: null }
const [PAGE_TEXT, PAGE_AT_OTHERS, PAGE_AT_GEMINI] = [1_500, 3_000, 1_200]

/** Of one page of a document at a model. Measured: 2,750 to 3,150 at Claude, 258 to 1,120 at Gemini. */
export function pageInputTokens(model: string): number {
  if (/gemini/i.test(model)) return PAGE_AT_GEMINI
  const image = imageInputTokens(PAGE, model)
  return image === null ? PAGE_AT_OTHERS : image + PAGE_TEXT
}

/** The longest side of an image that is cut into tiles, and its shorter one. */
const [TILED_LONG, TILED_SHORT, TILE] = [2_048, 768, 512]

/** OpenAI's older rule: fitted into a square, then its shorter side cut down, then counted in tiles. */
function tiles(base: number, each: number): (image: ImageFacts) => number {
  return ({ pixels, detail }) => {
    if (detail === 'low') return base
    const { width, height } = pixels ?? { width: TILED_LONG, height: TILED_SHORT }
    const scale = Math.min(1, TILED_LONG / Math.max(width, height))
    const shorter = Math.min(1, TILED_SHORT / (Math.min(width, height) * scale)) * scale
    return base + each * Math.ceil((width * shorter) / TILE) * Math.ceil((height * shorter) / TILE)
  }
}

/** OpenAI's newer rule: patches of 32 pixels, scaled down to a budget of them. `detail` changes nothing here. */
function patches(budget: number, multiplier: number): (image: ImageFacts) => number {
  return ({ pixels }) => Math.ceil(Math.min(budget, pixels === null ? budget : grid(pixels, 32)) * multiplier)
}

/** Where nothing is said the newest models look at the original. */
function budgetOf({ detail }: ImageFacts): number {
  return detail === 'high' || detail === 'low' ? 2_500 : 10_000
}

function multiplierOf(model: string): number {
  return model.includes('nano') ? 2.46 : model.includes('mini') ? 1.72 : 1.2
}

/** Claude's: squares of 28 pixels, width × height / 750 in older guides, and a few tokens around it. */
function squares(most: number): (image: ImageFacts) => number {
  return ({ pixels }) => {
    if (pixels === null) return most
    return Math.min(most, Math.max(grid(pixels, 28), Math.ceil((pixels.width * pixels.height) / 750)) + 10)
  }
}

/** What a crop costs, how many a photograph of 20 million pixels makes, and more than any image that is taken. */
const [CROP, CROPS_UNKNOWN, CROPS_MAX] = [258, 40, 200]

/** Gemini's up to 2.5: each crop's side is two thirds of the image's shorter one, from 256 to 768 pixels. */
function crops({ pixels }: ImageFacts): number {
  if (pixels === null) return CROP * CROPS_UNKNOWN
  if (Math.max(pixels.width, pixels.height) <= 384) return CROP
  const side = Math.min(768, Math.max(256, Math.floor(Math.min(pixels.width, pixels.height) / 1.5)))
  return CROP * Math.min(CROPS_MAX, grid(pixels, side))
}

function grid({ width, height }: Pixels, side: number): number {
  return Math.ceil(width / side) * Math.ceil(height / side)
}
