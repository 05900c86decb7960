/** The public SDK: everything an application needs, and nothing else. */
export { type ErrorCode, errorCodes } from '../base/error-codes.ts'
export { RingsetError } from '../base/errors.ts'
export { createToken } from '../net/token.ts'
export type { DeviceClass } from '../protocol/kinds.ts'
export { p2pSession } from '../protocol/session.ts'
export type { ClientState } from './client-core.ts'
export { type CursorStore, type DeviceState, MemoryStore } from './cursor-store.ts'
export { FileStore } from './file-store.ts'
export { ImClient } from './im-client.ts'
export {
  type History,
  type HistoryOptions,
  type ImClientOptions,
  ImMessage,
  type MessageListener,
  type SendOptions,
  type Sent,
  type StateListener
} from './im-types.ts'
export { LogicClient, type LogicClientOptions, type UserRoutes } from './logic-client.ts'
