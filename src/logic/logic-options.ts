import type { ErrorCode } from '../base/error-codes.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { PayloadOf } from '../protocol/kinds.ts'

/**
 * Looks at a message before it is sent: undefined lets it pass, a code rejects it (use one without
 * retry, such as FORBIDDEN). Runs synchronously on the hot path, in the order of the chain; may run
 * again for a message that is repeated.
 */
export type BeforeSendHook = (message: PayloadOf<'SUBMIT'>) => ErrorCode | undefined

export interface LogicOptions {
  readonly id: string
  readonly setId: string
  readonly nodeId: string
  /** `host:port` of the node's peer listener. */
  readonly address: string
  readonly version: string
  /** Where to announce before a table names the arbiters. */
  readonly arbiters: readonly EndpointId[]
  readonly beforeSend: readonly BeforeSendHook[]
  readonly bodyLimitBytes: number
  /** Messages of one history page at most. */
  readonly historyMessages: number
  /** Requests to routers in flight or waiting. */
  readonly maxPending: number
  /** Budget of a request whose packet states none. */
  readonly defaultDeadlineMs: number
  readonly announceMs: number
  /** How long a stopping logic waits for what it has begun. */
  readonly stopMs: number
}

export const defaultLogicLimits = {
  beforeSend: [],
  bodyLimitBytes: 64 * 1024,
  historyMessages: 1_000,
  maxPending: 100_000,
  defaultDeadlineMs: 5_000,
  announceMs: 1_000,
  stopMs: 3_000
} as const
