import { type ErrorCode, errorCodeOf } from '../../src/base/error-codes.ts'
import { RingsetError } from '../../src/base/errors.ts'
import type { Packet } from '../../src/protocol/packet.ts'

/** What an answer says. */
export function codeOf(answer: Packet): ErrorCode | 'OK' {
  return answer.kind === 'ERROR' ? errorCodeOf(answer.payload.code) : 'OK'
}

/** What `run` throws, `none` when it does not; anything but a coded error is passed on. */
export function thrownBy(run: () => unknown): ErrorCode | 'none' {
  try {
    run()
  } catch (error) {
    if (error instanceof RingsetError) return error.code
    throw error
  }
  return 'none'
}
