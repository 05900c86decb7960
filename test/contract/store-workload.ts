import type { GroupStore } from '../../src/raft/store.ts'
import type { Entry, HardState, Membership } from '../../src/raft/types.ts'
import type { Database } from '../../src/storage/database.ts'
import { runAsync } from './level-harness.ts'

export const members: Membership = { voters: [1, 2, 3], outgoing: [], learners: [4] }

export const workloadGroups = ['arbiter', 'set-1'] as const
const rowCount = 7
const termSteps = 40

/** The term grows every so many entries. */
export function workloadEntry(group: string, index: number): Entry {
  const data = Buffer.from(`${group} ${index} ${'.'.repeat((index * 37) % 200)}`)
  return { index, term: 1 + Math.floor(index / termSteps), kind: 0, data }
}

export function workloadHardState(last: number, applied: number): HardState {
  return { term: 1 + Math.floor(last / termSteps), vote: 1 + (last % 2), commit: applied }
}

/** Row `r` holds the newest applied index that is `r` modulo the number of rows. */
function workloadRow(row: number, applied: number): string | undefined {
  const newest = applied - ((applied - row + rowCount) % rowCount)
  return newest > 0 ? `as of ${newest}` : undefined
}

/** Appends to every group, synced, and applies a little behind, unsynced: what a replica does. Goes on where the stores are. */
export class Workload {
  readonly #stores: { readonly name: string; readonly store: GroupStore; applied: number }[] = []
  readonly #keep: number

  /** @param keep entries that compaction leaves. */
  private constructor(keep: number) {
    this.#keep = keep
  }

  static async on(database: Database, keep = Number.POSITIVE_INFINITY): Promise<Workload> {
    const workload = new Workload(keep)
    for (const name of workloadGroups) {
      const store = await database.group(name)
      workload.#stores.push({ name, store, applied: store.recovered.applied })
    }
    return workload
  }

  /** Resolves with the last index of each group, all durable. */
  async run(steps: number, perStep = 3): Promise<number[]> {
    for (let step = 0; step < steps; step++) {
      await Promise.all(
        this.#stores.map(({ name, store, applied }) => {
          const last = store.lastIndex() + perStep
          const entries = Array.from({ length: perStep }, (_, i) =>
            workloadEntry(name, last - perStep + 1 + i)
          )
          const hardState = workloadHardState(last, applied)
          return runAsync(done => store.write({ hardState, entries, sync: true }, () => done(last)))
        })
      )
      for (const group of this.#stores) this.#apply(group)
    }
    const { store } = this.#stores[0]!
    await runAsync(done => store.write({ sync: true }, () => done(true)))
    return this.#stores.map(group => group.store.lastIndex())
  }

  #apply(group: { store: GroupStore; applied: number }): void {
    const applied = group.store.lastIndex() - 2
    const rows = new Map<string, Buffer>()
    for (let index = group.applied + 1; index <= applied; index++) {
      rows.set(`row ${index % rowCount}`, Buffer.from(`as of ${index}`))
    }
    group.applied = applied
    const compactTo = applied - this.#keep
    const compaction = compactTo > 0 ? { compactTo } : {}
    group.store.write({ rows, applied, membership: members, ...compaction, sync: false }, () => {})
  }
}

function sameEntry(a: Entry, b: Entry): boolean {
  return a.index === b.index && a.term === b.term && a.kind === b.kind && a.data.equals(b.data)
}

/** Whatever is there must be true: rows stand for the applied index, entries are those that were written. Says what is not. */
export function liesOf(name: string, store: GroupStore): string[] {
  const { applied, hardState } = store.recovered
  const first = store.firstIndex()
  const last = store.lastIndex()
  const lies: string[] = []
  const claim = (truth: boolean, text: string): void => {
    if (!truth) lies.push(`${name}: ${text} (${first}-${last}, applied ${applied})`)
  }
  claim(first - 1 <= applied && applied <= last, 'applied is outside of the log')
  claim(applied <= hardState.commit && hardState.commit <= last, `commit ${hardState.commit}`)
  const entries = store.entries(first, last + 1, 1e9)
  claim(entries.length === last - first + 1, `${entries.length} entries`)
  for (const entry of entries) {
    claim(sameEntry(entry, workloadEntry(name, entry.index)), `entry ${entry.index}`)
  }
  for (let row = 0; row < rowCount; row++) {
    const text = store.getState(`row ${row}`)?.toString()
    claim(text === workloadRow(row, applied), `row ${row} is ${text}`)
  }
  return lies
}
