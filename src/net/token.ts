import { createHmac, timingSafeEqual } from 'node:crypto'
import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import { hardLimits } from '../protocol/kinds.ts'
import { checkUid } from '../protocol/session.ts'

/**
 * Leading word of every token of this layout: `rs1.<uid>.<expiry in ms>.<mac>`, uid and mac in
 * base64url.
 */
const layout = 'rs1'
const macBytes = 32

/** A connect token for `uid`, valid until `expiresAtMs` (wall clock). Throws BAD_UID. */
export function createToken(secret: Buffer | string, uid: string, expiresAtMs: number): string {
  checkUid(uid)
  const claim = `${layout}.${Buffer.from(uid, 'utf8').toString('base64url')}.${Math.floor(expiresAtMs)}`
  return `${claim}.${mac(secret, claim).toString('base64url')}`
}

/**
 * Whose token it is, or BAD_TOKEN / TOKEN_EXPIRED. Takes hostile input; compares in constant time.
 */
export function verifyToken(
  secret: Buffer | string,
  token: string,
  nowMs: number
): { readonly uid: string } | ErrorCode {
  if (token.length > 1_024) return 'BAD_TOKEN'
  const parts = token.split('.')
  const [word, uidPart, expiryPart, macPart] = parts
  if (parts.length !== 4 || word !== layout || !/^\d{1,16}$/.test(expiryPart!)) return 'BAD_TOKEN'
  const given = Buffer.from(macPart!, 'base64url')
  const wanted = mac(secret, `${layout}.${uidPart}.${expiryPart}`)
  if (given.length !== macBytes || !timingSafeEqual(given, wanted)) return 'BAD_TOKEN'
  const uid = Buffer.from(uidPart!, 'base64url').toString('utf8')
  if (!isUid(uid)) return 'BAD_TOKEN'
  return nowMs >= Number(expiryPart) ? 'TOKEN_EXPIRED' : { uid }
}

function mac(secret: Buffer | string, claim: string): Buffer {
  return createHmac('sha256', secret).update(`ringset token ${claim}`).digest()
}

function isUid(uid: string): boolean {
  if (Buffer.byteLength(uid, 'utf8') > hardLimits.uidBytes) return false
  try {
    checkUid(uid)
    return true
  } catch (error) {
    if (error instanceof RingsetError) return false
    throw error
  }
}
