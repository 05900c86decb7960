import type { GreyRule } from './table.ts'

/** What a rule says of one user: that requests go to logics of `version`, and which part of the rule it is. */
export interface GreyMatch {
  readonly version: string
  /** Whom the part names, for people: `users by name`, `users "vip-…"`, `5 % of the users`. */
  readonly by: string
}

interface Share {
  readonly match: GreyMatch
  /** Buckets below it. */
  readonly below: number
  readonly salt: number
}

/** Shares are counted in hundredths of a percent. */
const buckets = 10_000

/**
 * The rules of a table, prepared for look-ups on the hot path. A name beats a prefix, a longer prefix a shorter one, a prefix a
 * share; of two rules that would take a user alike, the one that comes first in the table does.
 */
export class GreyRules {
  /** No rule: every logic serves everybody. */
  readonly none: boolean
  readonly #versions: ReadonlySet<string>
  readonly #uids = new Map<string, GreyMatch>()
  /** Longest first. */
  readonly #prefixes: { readonly prefix: string; readonly match: GreyMatch }[] = []
  readonly #shares: Share[] = []

  constructor(rules: readonly GreyRule[]) {
    this.none = rules.length === 0
    this.#versions = new Set(rules.map(({ version }) => version))
    for (const { version, percent, uids, prefixes } of rules) {
      const named = { version, by: 'users by name' }
      for (const uid of uids) if (!this.#uids.has(uid)) this.#uids.set(uid, named)
      for (const prefix of prefixes) {
        this.#prefixes.push({ prefix, match: { version, by: `users "${prefix}…"` } })
      }
      if (percent === 0) continue
      const match = { version, by: `${percent} % of the users` }
      const salt = absorb(offsetBasis, `grey/${version}/`)
      this.#shares.push({ match, below: Math.round((percent * buckets) / 100), salt })
    }
    this.#prefixes.sort((a, b) => b.prefix.length - a.prefix.length)
  }

  /** Undefined when no rule names the user. */
  of(uid: string): GreyMatch | undefined {
    if (this.none) return undefined
    const named = this.#uids.get(uid)
    if (named !== undefined) return named
    for (const { prefix, match } of this.#prefixes) if (uid.startsWith(prefix)) return match
    for (const { match, below, salt } of this.#shares) {
      if (finish(absorb(salt, uid)) % buckets < below) return match
    }
    return undefined
  }

  /** Whether a logic of that version is one for a user of whom the rules say `match`. */
  fits(version: string, match: GreyMatch | undefined): boolean {
    return match === undefined ? !this.#versions.has(version) : version === match.version
  }
}

/**
 * FNV-1a (Fowler, Noll and Vo) with the finish of MurmurHash3 (Appleby). Not the checksum that slots come from: a salt changes that of
 * all uids of one length by one constant, so that shares would be related to slots and to each other.
 */
const offsetBasis = 0x811c9dc5

function absorb(state: number, text: string): number {
  let h = state
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return absorbBytes(state, Buffer.from(text, 'utf8'))
    h = Math.imul(h ^ code, 0x01000193)
  }
  return h
}

function absorbBytes(state: number, bytes: Uint8Array): number {
  let h = state
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ bytes[i]!, 0x01000193)
  return h
}

function finish(state: number): number {
  let h = state
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
