/**
 * Tool price: the price of a model that may call others as its tools, each at its own.
 */
import { type NanoUsd, nanoUsd } from '../units/money.ts'
import type { Usage } from '../usage/usage.ts'
import type { Extras, Price } from './price.ts'

/** A model that may be called, how often, and how much each call may take. */
export interface PricedTool {
  readonly model: string
  readonly price: Price
  readonly uses: number
  readonly outputTokens: number
  /** Input tokens beside the conversation. */
  readonly besideTokens: number
}

export class ToolPrice implements Price {
  readonly #own: Price
  readonly #tools: readonly PricedTool[]

  constructor(own: Price, tools: readonly PricedTool[]) {
    this.#own = own
    this.#tools = tools
  }

  cost(usage: Usage): NanoUsd {
    return nanoUsd(this.#own.cost(usage) + this.#used(usage))
  }

  bound(inputTokens: number, outputTokens: number, extras?: Extras): NanoUsd {
    return nanoUsd(this.#own.bound(inputTokens, outputTokens, extras) + this.#most(inputTokens))
  }

  /** All that may have been used where nobody says what was. */
  #used({ toolUse, inputTokens }: Usage): bigint {
    if (toolUse === null) return this.#most(inputTokens)
    let sum = 0n
    for (const { model, usage } of toolUse) sum += this.#costOf(model, usage)
    return sum
  }

  /** A model that a report does not name, or names otherwise than the request, costs what the dearest does. */
  #costOf(model: string | null, usage: Usage): bigint {
    const named = this.#tools.filter((tool) => tool.model === model)
    const costs = (named.length > 0 ? named : this.#tools).map(({ price }) => price.cost(usage))
    return costs.reduce((dearest, cost) => (cost > dearest ? cost : dearest), 0n as NanoUsd)
  }

  /** Each call reads the conversation. */
  #most(inputTokens: number): bigint {
    let sum = 0n
    for (const { price, uses, outputTokens, besideTokens } of this.#tools) {
      sum += BigInt(uses) * price.bound(inputTokens + besideTokens, outputTokens)
    }
    return sum
  }
}
