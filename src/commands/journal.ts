/**
 * `bursar journal`: what the journal's files say, for people. Reads only, also beside a running gateway and in a damaged journal: what cannot
 * be read is shown with its file and position.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { linesOf } from '../ledger/charges.ts'
import type { Fact, UsageEvent } from '../ledger/facts.ts'
import {
  type HeaderLine,
  JOURNAL_VERSION,
  type Line,
  listSegments,
  PlacesRead,
  READABLE_VERSIONS,
  readLines,
  type Segment,
} from '../persist/segments.ts'
import { formatUsd } from '../units/money.ts'
import type { Print } from './output.ts'

export interface JournalOptions {
  /** Only facts of this request. */
  readonly request?: string
  /** Positions from here on. */
  readonly from?: number
  readonly json?: boolean
}

const BYTES_AT_ONCE = 1_048_576

/** False when something in it cannot be read. Throws where there is no journal. */
export function showJournal(dataDir: string, options: JournalOptions, print: Print): boolean {
  const directory = join(dataDir, 'journal')
  if (!existsSync(directory)) throw new Error(`there is no journal in ${dataDir}`)
  const segments = listSegments(directory)
  let isWhole = true
  for (const segment of segments) {
    if (segment.start + segment.size <= (options.from ?? 0)) continue
    if (options.json !== true) print(`${segment.path}  positions ${segment.start} to ${segment.start + segment.size}\n`)
    isWhole = showSegment(segment, segments.at(-1) === segment, options, print) && isWhole
  }
  if (segments.length === 0 && options.json !== true) print(`${directory} has no files: nothing has been written yet\n`)
  return isWhole
}

function showSegment(segment: Segment, isLast: boolean, options: JournalOptions, print: Print): boolean {
  const end = segment.start + segment.size
  let isWhole = true
  const places = new PlacesRead()
  let at = segment.start
  while (at < end) {
    const { lines, end: next } = readLines(segment, at, { limit: end, bytesMax: BYTES_AT_ONCE, holds: true, places })
    for (const line of lines) isWhole = showLine(segment, line, options, print) && isWhole
    if (next === at) break
    at = next
  }
  if (at < end) {
    const torn = { file: segment.path, position: at, problem: 'a torn last line' }
    // The last file's may still be being written.
    const why = isLast ? 'torn by a crash, or being written' : 'torn by a crash'
    print(options.json === true ? `${JSON.stringify(torn)}\n` : `  ${at}  ${end - at} bytes: a line ${why}\n`)
  }
  return isWhole
}

function showLine(segment: Segment, line: Line, options: JournalOptions, print: Print): boolean {
  if (line.kind === 'garbage') {
    const { start: position, why } = line
    const shown = { file: segment.path, position, problem: why }
    print(options.json === true ? `${JSON.stringify(shown)}\n` : `  ${position}  cannot be read: ${why}\n`)
    return false
  }
  // Whatever part is asked for: what follows a header of another version cannot be trusted.
  if (line.kind === 'header') return showHeader(segment, line.header, options, print)
  if (line.end <= (options.from ?? 0)) return true
  if (options.request !== undefined && requestOf(line.fact) !== options.request) return true
  print(
    options.json === true
      ? `${JSON.stringify({ end: line.end, ...line.fact })}\n`
      : `  ${line.end}  ${describe(line.fact)}\n`,
  )
  return true
}

function showHeader(
  segment: Segment,
  { version, journal }: HeaderLine,
  { json }: JournalOptions,
  print: Print,
): boolean {
  const isForeign = !READABLE_VERSIONS.has(version)
  if (json !== true)
    print(`  journal ${journal}, version ${version}${isForeign ? ` (this program reads ${JOURNAL_VERSION})` : ''}\n`)
  else if (isForeign) {
    const problem = `version ${version} of the journal, and this program reads ${JOURNAL_VERSION}`
    print(`${JSON.stringify({ file: segment.path, position: segment.start, problem })}\n`)
  }
  return !isForeign
}

function requestOf(fact: Fact): string | null {
  if ('event' in fact) return fact.event.requestId
  if ('identity' in fact) return fact.identity.requestId
  return 'requestId' in fact ? fact.requestId : null
}

function describe(fact: Fact): string {
  switch (fact.t) {
    case 'hold': {
      const { identity, costNanoUsd } = fact
      return `${time(fact.at)} hold     ${identity.requestId}/${identity.attempt} ${identity.provider}/${identity.model} $${formatUsd(BigInt(costNanoUsd))} on ${linesOf(fact.charges).length} limits`
    }
    case 'settle':
    case 'void':
    case 'refuse':
      return `${time(fact.event.endedAt)} ${fact.t.padEnd(8)} ${describeEvent(fact.event)}`
    case 'correct':
      return `${time(fact.at)} correct  ${fact.charges.length} limits: ${fact.reason}`
    case 'seen':
      return `${time(fact.at)} seen     key ${fact.virtualKeyId}${fact.address === null ? '' : ` from ${fact.address}`}`
    case 'disable':
      return `${time(fact.at)} disable  ${fact.kind} ${fact.id}: ${fact.reason}`
    case 'stored':
      return `${time(fact.at)} stored   ${fact.ids.join(' ')} at ${fact.provider} for key ${fact.virtualKeyId}`
    case 'alert':
      return `${time(fact.at)} alert    limit ${fact.limitId} has reached ${fact.threshold} of its maximum`
    case 'notice':
      return `${time(fact.at)} notice   ${fact.kind}: ${fact.message}`
    case 'delivery':
      return `${time(fact.at)} delivery alert ${fact.alertId}: ${fact.error ?? 'taken'}`
  }
}

function describeEvent(event: UsageEvent): string {
  const { requestId, attempt, provider, model, refusedCode, usageSource } = event
  const request = `${requestId}/${attempt}`
  if (refusedCode !== null) return `${request} ${refusedCode}`
  const tokens = `${event.inputTokens} + ${event.outputTokens} tokens`
  return `${request} ${provider}/${model} ${event.status ?? 'no status'} ${tokens} $${formatUsd(BigInt(event.costNanoUsd))} ${usageSource ?? 'nothing charged'}`
}

function time(ms: number): string {
  return new Date(ms).toISOString()
}
