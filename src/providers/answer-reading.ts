/** What a collected answer comes to: its report, else the text that can be seen in it. */
import type { Admitted } from '../admission/admission.ts'
import { usageOfAnswer } from '../usage/extract.ts'
import { type Outcome, outcome } from '../usage/settle.ts'
import { storedIn } from '../usage/stored-objects.ts'
import { textBytesIn } from '../usage/text-seen.ts'
import type { Usage } from '../usage/usage.ts'
import type { CallParts } from './exchange.ts'

type TextEstimate = CallParts['tokensOfText']

/** A whole answer. @param body null where it could not be made readable */
export function wholeAnswer(admitted: Admitted, status: number, body: Buffer | null, estimate: TextEstimate): Outcome {
  if (body === null) return outcome('complete', status, { textTokens: null })
  const usage = reported(admitted, body)
  const flat = admitted.request.facts.flatOutputTokens !== undefined
  const unread = flat || !isJson(body)
  const textTokens = usage !== null ? 0 : unread ? null : textTokensIn(admitted, body, estimate)
  const { facts } = admitted.request
  const stored = facts.keepsAnswer === true ? storedIn(body) : []
  return outcome('complete', status, { usage, textTokens, stored })
}

/** Whether it begins like an answer that can be read. */
function isJson(body: Buffer): boolean {
  return /^\s*[{[]/.test(body.toString('latin1', 0, 64))
}

/** An answer that broke off after `body`. */
export function brokenAnswer(admitted: Admitted, status: number, body: Buffer, estimate: TextEstimate): Outcome {
  return outcome('cut', status, { final: false, textTokens: textTokensIn(admitted, body, estimate) })
}

/** A provider's error; some of them report usage. */
export function refusedAnswer(admitted: Admitted, status: number, body: Buffer | null): Outcome {
  return outcome('refused', status, { usage: body === null ? null : reported(admitted, body) })
}

function reported({ request: { facts } }: Admitted, body: Buffer): Usage | null {
  return usageOfAnswer(facts.format, facts.endpoint, facts.producesOutput, body)
}

function textTokensIn(admitted: Admitted, body: Buffer, estimate: TextEstimate): number {
  const { format, endpoint, producesOutput } = admitted.request.facts
  return producesOutput ? estimate(admitted, textBytesIn(body, format, endpoint)) : 0
}
