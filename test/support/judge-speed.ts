import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { judge } from '../../src/check/check.ts'
import { formatLine, parseHistory } from '../../src/check/history.ts'
import { type HistoryShape, makeHistory } from './history-maker.ts'

/**
 * Measures how fast generated histories are parsed and judged, and with how much memory, each in a process of its own:
 * `npx tsx test/support/judge-speed.ts [OPERATIONS]`. The maker holds each history in its own memory first.
 */
const shapes: Record<string, Partial<HistoryShape>> = {
  'many sessions': { users: 1_000, sessions: 2_000 },
  'few sessions': { users: 20, sessions: 20 },
  'one session': { users: 2, sessions: 1 },
  '10 % unknown outcomes': { users: 200, sessions: 300, unknownShare: 0.1 }
}
const linesToWrite = 10_000
const chunkBytes = 1_048_576

const [operations = '100000', history] = process.argv.slice(2)
if (history === undefined) measureAll(Number(operations))
else console.log(JSON.stringify(judged(history)))

function measureAll(count: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'ringset-judge-speed-'))
  try {
    for (const [name, shape] of Object.entries(shapes)) {
      const file = join(folder, 'history.jsonl')
      write(file, { seed: 1, operations: count, users: 2, sessions: 1, ...shape })
      const self = [...process.execArgv, process.argv[1]!, String(count), file]
      const { stdout } = spawnSync(process.execPath, self, { stdio: ['ignore', 'pipe', 'inherit'] })
      console.log(JSON.stringify({ name, operations: count, ...JSON.parse(stdout.toString()) }))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function write(file: string, shape: HistoryShape): void {
  const lines = makeHistory(shape)
  const descriptor = openSync(file, 'w')
  for (let at = 0; at < lines.length; at += linesToWrite) {
    const texts = lines.slice(at, at + linesToWrite).map(formatLine)
    writeSync(descriptor, texts.join(''))
  }
  closeSync(descriptor)
}

function judged(file: string) {
  const startedAtMs = performance.now()
  const { verdict, lines, checks } = judge(parseHistory(chunksOf(file)))
  const seconds = Math.round(performance.now() - startedAtMs) / 1_000
  const residentMiB = Math.round(process.resourceUsage().maxRSS / 1_024)
  const wrong = checks.filter(({ ok }) => ok !== true)
  return { lines, verdict, seconds, residentMiB, ...(wrong.length > 0 && { wrong }) }
}

function* chunksOf(file: string): Generator<Buffer> {
  const descriptor = openSync(file, 'r')
  const buffer = Buffer.allocUnsafe(chunkBytes)
  for (;;) {
    const count = readSync(descriptor, buffer)
    if (count === 0) break
    yield buffer.subarray(0, count)
  }
  closeSync(descriptor)
}
