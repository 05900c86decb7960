import {
  logVerbosity,
  Metadata,
  type ServiceError,
  type StatusObject,
  setLogVerbosity,
  status
} from '@grpc/grpc-js'
import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'

// The library writes to stderr by itself; everything it knows reaches us as errors.
setLogVerbosity(logVerbosity.NONE)

const codeKey = 'ringset-code'

const toStatus: Partial<Record<ErrorCode, status>> = {
  TIMEOUT: status.DEADLINE_EXCEEDED,
  CANCELLED: status.CANCELLED,
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  UNSUPPORTED: status.UNIMPLEMENTED,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  FORBIDDEN: status.PERMISSION_DENIED,
  BAD_UID: status.INVALID_ARGUMENT,
  BAD_PACKET: status.INVALID_ARGUMENT,
  USAGE: status.INVALID_ARGUMENT,
  INTERNAL: status.INTERNAL
}

const fromStatus: Partial<Record<status, ErrorCode>> = {
  [status.DEADLINE_EXCEEDED]: 'TIMEOUT',
  // The call had left when the connection broke: whoever never got one hears UNREACHABLE from the client itself.
  [status.UNAVAILABLE]: 'CANCELLED',
  [status.CANCELLED]: 'CANCELLED',
  [status.RESOURCE_EXHAUSTED]: 'OVERLOADED',
  [status.UNIMPLEMENTED]: 'UNSUPPORTED',
  [status.UNAUTHENTICATED]: 'UNAUTHENTICATED'
}

/** What the server answers for an error that its source threw. Texts of foreign errors stay on this side. */
export function toGrpcError(error: unknown): Partial<StatusObject> {
  const known = error instanceof RingsetError ? error : new RingsetError('INTERNAL')
  const metadata = new Metadata()
  metadata.set(codeKey, known.code)
  return {
    code: toStatus[known.code] ?? status.FAILED_PRECONDITION,
    details: known.message.slice(0, 1000),
    metadata
  }
}

/** What a caller gets for an error of a call. @param peer named in the text. */
export function fromGrpcError(error: ServiceError, peer: string): RingsetError {
  const sent = error.metadata?.get(codeKey)[0]
  const facts = { peer, grpcStatus: status[error.code] }
  if (typeof sent === 'string' && Object.hasOwn(errorCodes, sent)) {
    return new RingsetError(sent as ErrorCode, error.details || undefined, facts, error)
  }
  const code = fromStatus[error.code] ?? 'INTERNAL'
  return new RingsetError(code, `${peer}: ${errorCodes[code].summary}`, facts, error)
}
