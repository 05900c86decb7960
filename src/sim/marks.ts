/**
 * Rare situations that a simulation ought to come into, or it proves little. Each is noticed from outside, by what is sent, logged,
 * written or elected.
 */
export const markNames = [
  // Raft
  'leader deposed with an uncommitted tail',
  'leader elected with an uncommitted tail',
  'uncommitted tail overwritten',
  'two replicas believe that they lead',
  'leader stepped down in its own term',
  'leadership handed over',
  'term without a leader',
  'message repeated late',
  'writes lost with a process',
  'snapshot installed',
  'snapshot sent while the log is trimmed',
  'install interrupted by a crash',
  'install resumed',
  'quarantined replica healed',
  'older copy of a replica noticed',
  // Members
  'joint change completed',
  'leader changed in joint state',
  'learner promoted',
  'learner promoted while it lags',
  'new replica promoted',
  'replica left the table',
  'leader voted out',
  'change refused as unsafe',
  'removed replica still campaigns',
  'group went on with a majority',
  // Slots
  'slot sent on its way',
  'slot pinned',
  'tenant pinned',
  'set added',
  'set removed',
  'slot moved',
  'slot unsealed',
  'arrival of a slot called off',
  // Routers
  'proposal dropped by a leader change',
  'late repeat answered as before',
  'late repeat refused as too old',
  'duplicate answered after a leader change',
  'channel batch sent again',
  'channel resumed after both leaders changed',
  'sequence range given up',
  // Presence
  'gateway drained',
  'gateway left as it was cut off',
  'transfer expired while it ran',
  'presence healed after transfer loss',
  'late register fenced',
  'late unregister fenced',
  'delivery for an earlier life of a transfer',
  // Devices and tables
  'device asked for a gap',
  'push repeated',
  'router behind its asker',
  'packet of an unknown kind refused',
  'table adopted from a client'
] as const
export type Mark = (typeof markNames)[number]

/** How often a run, or several, came into each situation. */
export class Marks {
  readonly #counts = new Map<Mark, number>()

  hit(mark: Mark, times = 1): void {
    this.#counts.set(mark, (this.#counts.get(mark) ?? 0) + times)
  }

  /** Those of another run. */
  add(counts: Readonly<Partial<Record<Mark, number>>>): void {
    for (const mark of markNames) {
      const times = counts[mark]
      if (times !== undefined) this.hit(mark, times)
    }
  }

  /** Only those that were hit, in the order of `markNames`. */
  get counts(): Readonly<Partial<Record<Mark, number>>> {
    const hit = markNames.filter(mark => this.#counts.has(mark))
    return Object.fromEntries(hit.map(mark => [mark, this.#counts.get(mark)]))
  }

  get missing(): readonly Mark[] {
    return markNames.filter(mark => !this.#counts.has(mark))
  }
}
