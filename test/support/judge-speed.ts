import { judge } from '../../src/check/check.ts'
import { formatLine, parseHistory } from '../../src/check/history.ts'
import { type HistoryShape, makeHistory } from './history-maker.ts'

/**
 * Measures how fast a generated history is parsed and judged: `npx tsx test/support/judge-speed.ts
 * [OPERATIONS]`.
 */
const operations = Number(process.argv[2] ?? 100_000)
const shapes: Record<string, Partial<HistoryShape>> = {
  'many sessions': { users: 1_000, sessions: 2_000 },
  'few sessions': { users: 20, sessions: 20 },
  'one session': { users: 2, sessions: 1 },
  '10 % unknown outcomes': { users: 200, sessions: 300, unknownShare: 0.1 }
}

for (const [name, shape] of Object.entries(shapes)) {
  const made = makeHistory({ seed: 1, operations, users: 2, sessions: 1, ...shape })
  const text = made.map(formatLine).join('')
  made.length = 0
  const bytes = Buffer.from(text)
  globalThis.gc?.()
  const startedAtMs = performance.now()
  const { verdict, lines, checks } = judge(parseHistory(chunks(bytes)))
  const seconds = (performance.now() - startedAtMs) / 1_000
  for (const check of checks) if (check.ok !== true) console.log(JSON.stringify(check))
  const residentMiB = Math.round(process.resourceUsage().maxRSS / 1_024)
  console.log(JSON.stringify({ name, operations, lines, verdict, seconds, residentMiB }))
}

function* chunks(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}
