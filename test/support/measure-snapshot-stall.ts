import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { measureSnapshotStall } from './snapshot-stall.ts'

/**
 * How long the event loop stands still while a snapshot is built, streamed and installed: `npx tsx
 * test/support/measure-snapshot-stall.ts [rows]`. A million rows take two minutes. Run it on a machine that does nothing else.
 */
const rows = Number(process.argv[2] ?? 1_000_000)
const folder = mkdtempSync(join(tmpdir(), 'ringset-stall-'))
try {
  const { maxMs, p99Ms, busyMs, tookMs } = await measureSnapshotStall(folder, rows)
  console.log(
    `${rows} rows in ${(tookMs / 1000).toFixed(1)} s; event loop late by at most ${maxMs.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms; busiest turn ${busyMs.toFixed(1)} ms`
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}
