/**
 * Principal: who a request is charged to, resolved from a key when the store changes rather than per request.
 */
import type { ChainIds } from '../ledger/facts.ts'
import type { Customer, Team, User, VirtualKey } from '../store/entities.ts'

export interface Principal {
  /** Null where keys are optional and none was presented: only global limits apply. */
  readonly key: VirtualKey | null
  readonly user: User | null
  readonly team: Team | null
  /** The key's own customer, else its team's. */
  readonly customer: Customer | null
  readonly ids: ChainIds
}

export const ANONYMOUS: Principal = {
  key: null,
  user: null,
  team: null,
  customer: null,
  ids: { virtualKeyId: null, userId: null, teamId: null, customerId: null },
}
