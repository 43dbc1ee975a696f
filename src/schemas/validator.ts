/**
 * Validator: how the admin API holds what came in against its schemas. Strict: nothing is filled in, dropped or converted, except that a
 * query string, which has only text, may say numbers and booleans.
 */
import type { TSchema } from '@sinclair/typebox'
import type { Problem } from './lists.ts'
import { convertQuery, problemsOf } from './problems.ts'
import { unstorableParts } from './unstorable.ts'

/** The part of a request that is checked, as Fastify calls it. */
export type RequestPart = 'body' | 'querystring' | 'params' | 'headers'

export type Checked =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problems: readonly Problem[] }

export function check(schema: TSchema, part: RequestPart, given: unknown): Checked {
  const value = prepared(schema, part, given)
  const unstorable = unstorableParts(value)
  const problems = unstorable.length > 0 ? unstorable : problemsOf(schema, value)
  return problems.length === 0 ? { ok: true, value } : { ok: false, problems }
}

function prepared(schema: TSchema, part: RequestPart, given: unknown): unknown {
  if (part === 'querystring' && typeof given === 'object' && given !== null) return convertQuery(schema, { ...given })
  // An action without a body is an action with an empty one, where nothing in it is required.
  const demands = (schema.required as string[] | undefined)?.length ?? 0
  return part === 'body' && given == null && schema.type === 'object' && demands === 0 ? {} : given
}
