import { crc32OfString } from '../base/crc32.ts'
import { RingsetError } from '../base/errors.ts'
import { hardLimits } from './kinds.ts'

// biome-ignore lint/suspicious/noControlCharactersInRegex: refusing control characters is the point.
const controlCharacters = /[\u0000-\u001f\u007f-\u009f]/

/** Throws BAD_UID unless `uid` is 1 to 64 bytes of UTF-8 without control characters. */
export function checkUid(uid: string): void {
  if (
    uid === '' ||
    controlCharacters.test(uid) ||
    Buffer.byteLength(uid, 'utf8') > hardLimits.uidBytes
  ) {
    throw new RingsetError('BAD_UID', undefined, { uid: uid.slice(0, 80) })
  }
}

/** What a session id says about itself. */
export type SessionParts =
  | { readonly type: 'p2p'; readonly members: readonly [string, string] }
  | { readonly type: 'group'; readonly groupId: string }

/** The id of the conversation of two users, the same whoever asks: `p2p/` + both uids, sorted by UTF-16 code units, `%` and `/` escaped. */
export function p2pSession(a: string, b: string): string {
  checkUid(a)
  checkUid(b)
  return a < b ? `p2p/${escapeUid(a)}/${escapeUid(b)}` : `p2p/${escapeUid(b)}/${escapeUid(a)}`
}

/** Throws BAD_SESSION unless `session` is exactly what `p2pSession` (or a group) would build. */
export function parseSession(session: string): SessionParts {
  const parts = session.split('/')
  if (parts[0] === 'p2p' && parts.length === 3) {
    const a = unescapeUid(parts[1]!)
    const b = unescapeUid(parts[2]!)
    checkUid(a)
    checkUid(b)
    if (p2pSession(a, b) === session) return { type: 'p2p', members: [a, b] }
  }
  throw new RingsetError('BAD_SESSION', undefined, { session: session.slice(0, 100) })
}

/**
 * The uid or group id whose slot is the session's home. For two users it is one of them, picked by a hash of the pair, so that a busy
 * account does not pull all its sessions to one set.
 */
export function routingKey(session: string, parts: SessionParts): string {
  if (parts.type === 'group') return parts.groupId
  return parts.members[crc32OfString(session) & 1]!
}

function escapeUid(uid: string): string {
  return uid.replaceAll('%', '%25').replaceAll('/', '%2F')
}

function unescapeUid(text: string): string {
  return text.replaceAll('%2F', '/').replaceAll('%25', '%')
}
