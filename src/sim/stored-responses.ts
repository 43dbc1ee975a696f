/** `/v1/responses/{id}` and below: the last responses, to be read again, deleted and refused. */
import { type Answer, free, type SimCall } from './call.ts'
import { Refused } from './errors.ts'
import type { JsonObject } from './json.ts'

const KEPT_MAX = 1_000

/** A response with what it answered. */
export interface KeptResponse {
  readonly response: JsonObject
  readonly input: unknown
}

export type KeptResponses = Map<string, KeptResponse>

/** Keeps a response unless the caller wants it forgotten. */
export function keepResponse({ kept }: SimCall, body: JsonObject, response: JsonObject): void {
  if (body.store === false) return
  kept.set(String(response.id), { response, input: body.input })
  if (kept.size <= KEPT_MAX) return
  for (const oldest of kept.keys()) {
    kept.delete(oldest)
    break
  }
}

/** What a response may go on with; throws `Refused` (400), as OpenAI does, where there is no such thing. */
export function checkPrevious({ kept }: SimCall, id: unknown): void {
  if (id === undefined || id === null || kept.has(String(id))) return
  throw new Refused(400, `Previous response with id '${String(id)}' not found.`, {
    code: 'previous_response_not_found',
    param: 'previous_response_id',
  })
}

/** @param below what of the response is asked for: all of it, or `input_items` or `cancel` */
export function answerStored(call: SimCall, id: string, below: string): Answer {
  const found = call.kept.get(id)
  if (found === undefined) throw new Refused(404, `Response with id '${id}' not found.`)
  switch (`${call.entry.method} ${below}`) {
    case 'GET ':
      return free(found.response)
    case 'DELETE ':
      call.kept.delete(id)
      return free({ id, object: 'response.deleted', deleted: true })
    case 'GET input_items': {
      const item = { id: `msg_in_${id}`, type: 'message', role: 'user', content: found.input }
      return free({ object: 'list', data: [item], first_id: item.id, last_id: item.id, has_more: false })
    }
    case 'POST cancel':
      throw new Refused(400, 'Only responses created with background=true can be cancelled.')
    default:
      throw new Refused(405, 'Not allowed.')
  }
}
