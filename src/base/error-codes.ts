import { operationErrors } from './operation-errors.ts'
import { requestErrors } from './request-errors.ts'

/** Every code by name, in the order of the documentation. */
export const errorCodes = { ...requestErrors, ...operationErrors } as const

export type ErrorCode = keyof typeof errorCodes

const byNumber = new Map<number, ErrorCode>(
  (Object.keys(errorCodes) as ErrorCode[]).map(code => [errorCodes[code].number, code])
)

/** The code of a number read from a packet; unknown numbers (a newer peer) read as INTERNAL. */
export function errorCodeOf(number: number): ErrorCode {
  return byNumber.get(number) ?? 'INTERNAL'
}
