import type { SnapshotSource } from '../../raft/store.ts'
import { ChunkWriter, readChunk } from '../../storage/snapshot-chunk.ts'
import { type Mutant, withMethods } from './mutant.ts'

const powerLosses = {
  faults: [{ kind: 'setLoss', everyMs: 600 }],
  users: 6,
  backends: 0,
  sendEveryMs: 100,
  diskMeanMs: 8,
  tiny: false
} as const

/** Logs are short and disks are lost, so that snapshots must help. */
const snapshots = {
  faults: [
    { kind: 'wipe', everyMs: 600 },
    { kind: 'crash', everyMs: 1_000 }
  ],
  users: 6,
  backends: 0,
  sendEveryMs: 100,
  trailingEntries: 8,
  tiny: false
} as const

export const storageMutants: readonly Mutant[] = [
  {
    name: 'early-ack',
    breaks: 'The disk reports a write before it has it.',
    noticedBy: ['quorum'],
    world: powerLosses,
    tamper: () => ({
      store: (store, { process }) =>
        withMethods(store, {
          write: (write, done) => {
            store.write(write, () => {})
            process.soon(done)
          }
        })
    })
  },
  {
    name: 'unsynced-ack',
    breaks: 'Writes are reported without a sync.',
    noticedBy: ['quorum'],
    world: powerLosses,
    tamper: () => ({
      store: store =>
        withMethods(store, {
          write: (write, done) => store.write({ ...write, sync: false }, done)
        })
    })
  },
  {
    name: 'drops-tail',
    breaks: 'A replica that starts drops the part of its log that is not in the rows yet.',
    noticedBy: ['leader-completeness', 'INTERNAL'],
    world: powerLosses,
    tamper: () => ({
      store: store => {
        const { hardState, applied } = store.recovered
        if (store.lastIndex() > applied) {
          store.write({ truncateFrom: applied + 1, sync: true }, () => {})
        }
        return withMethods(store, {
          recovered: { ...store.recovered, hardState: { ...hardState, commit: applied } }
        })
      }
    })
  },
  {
    name: 'rows-ahead',
    breaks: 'Rows reach the disk before the index that they stand for, and outlive a crash.',
    noticedBy: ['state-machine', 'reassigned', 'INTERNAL'],
    world: { ...powerLosses, trailingEntries: 10_000 },
    tamper: () => ({
      store: store => {
        let recorded = store.recovered.applied
        return withMethods(store, {
          write: (write, done) => {
            const { applied, compactTo: _, ...rest } = write
            if (applied === undefined || rest.membership !== undefined) {
              store.write(write, done)
              return
            }
            store.write({ ...rest, applied: recorded }, done)
            recorded = applied
          }
        })
      }
    })
  },
  {
    name: 'snapshot-forgets-rows',
    breaks: 'A snapshot holds no row of the message ids that were used already.',
    noticedBy: ['rows', 'state-machine', 'duplicates'],
    world: snapshots,
    tamper: () => ({
      store: store =>
        withMethods(store, { openSnapshot: () => withoutDedupRows(store.openSnapshot()) })
    })
  },
  {
    name: 'snapshot-ahead',
    breaks: 'A snapshot claims an entry more than its rows hold.',
    noticedBy: ['rows', 'state-machine', 'copies'],
    world: snapshots,
    tamper: () => ({
      store: store =>
        withMethods(store, {
          openSnapshot: () => {
            const source = store.openSnapshot()
            const { index } = source.meta
            const term = store.term(index + 1)
            if (term === undefined) return source
            return withMethods(source, { meta: { ...source.meta, index: index + 1, term } })
          }
        })
    })
  }
]

function withoutDedupRows(source: SnapshotSource): SnapshotSource {
  return withMethods(source, {
    next: (maxBytes, done) =>
      source.next(maxBytes, ({ data, last }) => {
        const writer = new ChunkWriter(data.length)
        for (const [key, value] of readChunk(data)) {
          if (!key.includes('/dedup/')) writer.add(Buffer.from(key), value)
        }
        done({ data: writer.finish(), last })
      })
  })
}
