import type { ErrorCode } from '../base/error-codes.ts'
import type { KindName } from '../protocol/kinds.ts'
import type { RequestKind } from './route-types.ts'

/** Requests whose answer shows that the answering replica leads; reads may come from a follower. */
export const leaderOnly = new Set<RequestKind>([
  'APPEND',
  'REGISTER',
  'UNREGISTER',
  'SEQUENCE',
  'RENEW'
])

export const answerKinds: Readonly<Record<RequestKind, KindName>> = {
  APPEND: 'APPEND_OK',
  REGISTER: 'REGISTER_OK',
  UNREGISTER: 'UNREGISTER_OK',
  LOOKUP: 'LOOKUP_OK',
  LATEST: 'LATEST_OK',
  HISTORY_READ: 'HISTORY_READ_OK',
  SYNC: 'SYNC_OK',
  SEQUENCE: 'SEQUENCE_OK',
  RENEW: 'RENEW_OK'
}

/** Failures that go away by a new leader, so requests waiting for them are woken by one. */
export const waitsForLeader = new Set<ErrorCode>([
  'NOT_LEADER',
  'NO_LEADER',
  'PROPOSAL_DROPPED',
  'TIMEOUT',
  'UNREACHABLE'
])

/** Failures that a newer table may cure. */
export const waitsForTable = new Set<ErrorCode>([
  'NO_TABLE',
  'SET_UNAVAILABLE',
  'UNREACHABLE',
  'STALE_SLOT',
  'MOVED'
])
