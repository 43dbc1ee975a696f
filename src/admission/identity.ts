/**
 * Identity: who is charged for one attempt, and for what; the form in which journal and events name it.
 */
import type { AttemptIdentity } from '../ledger/facts.ts'
import type { Candidate } from '../providers/candidate.ts'
import type { AdmissionRequest } from './admission.ts'

/** @param attempt 1 for the first call to a provider */
export function identityOf(request: AdmissionRequest, candidate: Candidate, attempt: number): AttemptIdentity {
  // Field by field: copying objects is slow, and this is done for every attempt.
  const { virtualKeyId, userId, teamId, customerId } = request.principal.ids
  return {
    requestId: request.requestId,
    attempt,
    virtualKeyId,
    userId,
    teamId,
    customerId,
    provider: candidate.provider.name,
    providerKeyId: candidate.providerKey?.id ?? null,
    model: candidate.model === '' ? null : candidate.model,
    endpoint: request.facts.endpoint,
    stream: request.facts.stream,
    tags: request.facts.tags,
  }
}
