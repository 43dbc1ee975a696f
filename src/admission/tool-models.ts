/**
 * Tool models: the models that a provider may call on behalf of the one that was asked, as one of its tools.
 *
 * Each is a model of its own: the key must be allowed to use it, what it may cost is held, and what it has cost is charged at its own price.
 * Known are OpenAI's tool that makes images and Anthropic's advisor; another tool that names a model is refused, since nobody would be
 * asked about it.
 */
import { fieldOf, isObject, type JsonObject, objectsIn } from '../units/json-object.ts'
import type { BodyReader } from './body-reader.ts'
import { imageOutputTokens } from './read-media.ts'
import type { ToolModel } from './request-facts.ts'

/** OpenAI's own default, as its SDK documents it. */
const IMAGE_MODEL = 'gpt-image-2.6-sunburst'
/** How often a tool is used where nothing says it, and the most that is held for, for the hold; what it has come to is charged. */
const [USES_ASSUMED, USES_MAX] = [1, 20]
/** What an advisor writes where no ceiling is named: 1,400 to 1,800 tokens as a rule, thoughts included. */
const ADVICE_TOKENS = 4_096
/** Instructions that a tool adds to what it is given of the conversation, and pictures to begin from. */
const BESIDE_TOKENS = 5_000
/** Each has to be priced. */
const TOOLS_MAX = 16

/** Of a body's tools. None = absent. */
export function toolModels(
  tools: readonly JsonObject[],
  body: BodyReader,
): { readonly toolModels?: readonly ToolModel[] } {
  const found: ToolModel[] = []
  for (const tool of tools) {
    const model = toolModel(tool, body)
    if (model !== null) found.push(model)
  }
  if (found.length > TOOLS_MAX) body.reject('tools', `More than ${TOOLS_MAX} tools call a model of their own.`)
  return found.length === 0 ? {} : { toolModels: found }
}

/** The tools of a body, also those that items of its input bring along. */
export function toolsOf(body: BodyReader): readonly JsonObject[] {
  const inItems = objectsIn(body.any('input')).flatMap(({ tools }) => objectsIn(tools))
  return [...objectsIn(body.any('tools')), ...inItems]
}

function toolModel(tool: JsonObject, body: BodyReader): ToolModel | null {
  const type = String(tool.type)
  if (type === 'image_generation') return imageTool(tool, body)
  if (type.startsWith('advisor_')) return advisor(tool, body)
  // A function's parameters are a schema; those of other tools, as OpenRouter has them, are settings.
  const names = [tool.model, tool.type === 'function' ? undefined : fieldOf(tool.parameters, 'model')]
  if (names.some((name) => name !== undefined && name !== null)) {
    body.reject(
      'tools',
      `The tool "${type.slice(0, 64)}" names a model of its own, which is not supported by this gateway yet.`,
    )
  }
  return null
}

function imageTool(tool: JsonObject, body: BodyReader): ToolModel {
  // Another model writes the drawing.
  if (isObject(tool.svg) || tool.output_format === 'svg') {
    body.reject('tools', 'Images as SVG are not supported by this gateway yet: a second model writes them.')
  }
  const outputTokens = imageOutputTokens(tool)
  return {
    model: named(tool, body) ?? IMAGE_MODEL,
    uses: uses(body.count('max_tool_calls')),
    outputTokens,
    besideTokens: BESIDE_TOKENS,
  }
}

function advisor(tool: JsonObject, body: BodyReader): ToolModel {
  const model = named(tool, body)
  if (model === null) body.reject('tools', 'The tool "advisor" must name its model.')
  const outputTokens = counted(tool.max_tokens) ?? ADVICE_TOKENS
  return { model: model ?? '', uses: uses(counted(tool.max_uses)), outputTokens, besideTokens: BESIDE_TOKENS }
}

function named({ model }: JsonObject, body: BodyReader): string | null {
  if (model === undefined || model === null) return null
  if (typeof model === 'string' && model !== '') return model
  body.reject('tools', 'The model of a tool must be a string.')
  return null
}

function counted(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : null
}

function uses(most: number | null): number {
  return Math.min(USES_MAX, most ?? USES_ASSUMED)
}
