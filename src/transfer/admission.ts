import type { ErrorCode } from '../base/error-codes.ts'
import type { Packet } from '../protocol/packet.ts'
import type { VerifyToken } from './transfer-options.ts'

// biome-ignore lint/suspicious/noControlCharactersInRegex: refusing control characters is meant.
const badDeviceId = /^$|[\u0000-\u001f\u007f-\u009f]/

/** Whose connection it is, by its first packet; or why it may not come in. */
export function admitted(
  received: Packet,
  verifyToken: VerifyToken
): { readonly uid: string; readonly connect: Packet<'CONNECT'>['payload'] } | ErrorCode {
  if (received.kind !== 'CONNECT') return 'UNEXPECTED_PACKET'
  const connect = received.payload
  const verdict = verifyToken(connect.token)
  if (typeof verdict === 'string') return verdict
  if (badDeviceId.test(connect.deviceId)) return 'BAD_PACKET'
  return { uid: verdict.uid, connect }
}
