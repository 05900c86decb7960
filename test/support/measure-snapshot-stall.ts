import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LoopFigures, measureIdleLoop, measureSnapshotStall } from './snapshot-stall.ts'

/**
 * How long the event loop stands still while a snapshot is built, streamed and installed: `npx tsx
 * test/support/measure-snapshot-stall.ts [rows]`. A million rows take two minutes. Just before, it measures a
 * loop that does nothing: what that shows already is not the snapshot's doing.
 */
function tell(what: string, { maxMs, p99Ms, busyMs }: LoopFigures): void {
  const [late, p99, busy] = [maxMs, p99Ms, busyMs].map(ms => `${ms.toFixed(1)} ms`)
  console.log(
    `${what}: event loop late by at most ${late}, p99 ${p99}; busiest turn ${busy} of processor`
  )
}

const rows = Number(process.argv[2] ?? 1_000_000)
const folder = mkdtempSync(join(tmpdir(), 'ringset-stall-'))
try {
  tell('idle loop, 20 s', await measureIdleLoop(20_000))
  const figures = await measureSnapshotStall(folder, rows)
  tell(`${rows} rows in ${(figures.tookMs / 1_000).toFixed(1)} s`, figures)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
