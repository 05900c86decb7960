const overMs = 1_000

/** How fast something that is only counted grew in the last second. */
export class RecentRate {
  /** What was counted when; the first is the newest that is a second old. */
  readonly #seen: { readonly count: number; readonly atMs: number }[] = []

  /** Since a second ago, or since the first call if that is less. */
  perSecond(count: number, nowMs: number): number {
    const seen = this.#seen
    seen.push({ count, atMs: nowMs })
    while (seen.length > 2 && nowMs - seen[1]!.atMs >= overMs) seen.shift()
    const passedMs = nowMs - seen[0]!.atMs
    return passedMs > 0 ? Math.round(((count - seen[0]!.count) * 1_000) / passedMs) : 0
  }
}
