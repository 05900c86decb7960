/**
 * How many synced batches a second the LevelDB store writes: `node --import tsx test/support/bench-store.ts [seconds]`.
 * Closed loop, two batches outstanding (one under way, one being collected), 128-byte entries, 4 rows of 100 bytes a batch.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { noMetrics, silentLog } from '../../src/base/ports.ts'
import type { GroupStore } from '../../src/raft/store.ts'
import type { Entry } from '../../src/raft/types.ts'
import { openDatabase } from '../../src/storage/database.ts'

const seconds = Number(process.argv[2] ?? 3)
const rowsPerBatch = 4
const compactEvery = 50_000
const data = Buffer.alloc(128, 'x')
const rowValue = Buffer.alloc(100, 'y')

interface Figures {
  readonly batches: number
  readonly cpuMicros: number
  readonly writeCallMicros: number
}

function writeLoop(store: GroupStore, perBatch: number, untilMs: number): Promise<Figures> {
  const figures = { batches: 0, cpuMicros: 0, writeCallMicros: 0 }
  const cpu = process.cpuUsage()
  let outstanding = 0
  return new Promise(resolve => {
    const submit = (): void => {
      const last = store.lastIndex()
      const entries: Entry[] = []
      for (let i = 1; i <= perBatch; i++) entries.push({ index: last + i, term: 1, kind: 0, data })
      const rows = new Map<string, Buffer>()
      for (let i = 0; i < rowsPerBatch; i++) {
        rows.set(`t/session-${(figures.batches * 7 + i) % 5000}/${last + i}`, rowValue)
      }
      const compaction = last > compactEvery ? { compactTo: last - compactEvery } : {}
      const hardState = { term: 1, vote: 1, commit: last }
      outstanding++
      store.write({ hardState, entries, rows, applied: last, ...compaction, sync: true }, written)
    }
    const written = (): void => {
      figures.batches++
      outstanding--
      if (performance.now() < untilMs) setImmediate(submit)
      else if (outstanding === 0) {
        const used = process.cpuUsage(cpu)
        resolve({ ...figures, cpuMicros: used.user + used.system })
      }
    }
    submit()
    setImmediate(submit)
  })
}

for (const perBatch of [1, 64, 512]) {
  const directory = mkdtempSync(join(tmpdir(), 'ringset-bench-'))
  const database = await openDatabase({
    directory,
    log: silentLog,
    metrics: noMetrics,
    clusterNodeIdentity: 'bench',
    onFatal: error => {
      throw error
    }
  })
  const store = await database.group('bench')
  await writeLoop(store, perBatch, performance.now() + 500)
  const startMs = performance.now()
  const { batches, cpuMicros } = await writeLoop(store, perBatch, startMs + seconds * 1000)
  const perSecond = batches / ((performance.now() - startMs) / 1000)
  const rss = Math.round(process.memoryUsage().rss / 1024 / 1024)
  console.log(
    `${perBatch} entries + ${rowsPerBatch} rows: ${Math.round(perSecond)} writes/s, ` +
      `${Math.round(perSecond * perBatch)} entries/s, ${(cpuMicros / batches).toFixed(0)} µs CPU a write, rss ${rss} MiB`
  )
  await database.close()
  rmSync(directory, { recursive: true, force: true })
}
