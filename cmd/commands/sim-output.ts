import { type SimOptions, type SimVerdict, simulate } from '../../src/sim/simulate.ts'
import { clean, grouped, paint, print } from '../terminal.ts'
import type { SimFailureReport, SimSummary } from './sim.ts'

/** The end of a story is where the rule breaks. */
const storyLinesMax = 30

export function printVerdict(verdict: SimVerdict): void {
  eraseProgress()
  const { seed, ok, hash, events, virtualMs, acked, received, elections, counts } = verdict
  const mark = ok ? paint('ok    ', 'green') : paint('FAILED', 'red')
  const faults = Object.entries(counts)
    .filter(([name]) => name.startsWith('fault_'))
    .map(([name, count]) => `${name.slice('fault_'.length)} ${count}`)
  const numbers = [
    `${grouped(events)} events`,
    `${(virtualMs / 1_000).toFixed(1)} s`,
    `${grouped(acked)} acked`,
    `${grouped(received)} received`,
    `${elections} elections`
  ]
  print(`${mark}  seed ${seed}  ${hash}  ${numbers.join(', ')}`)
  print(`        ${paint(faults.join(', '), 'dim')}`)
  if (!ok) printBroken(verdict.check ?? '', verdict.text ?? '')
}

/** @param smallest what is left of the run. */
export function printFailure(
  { replay }: SimFailureReport,
  smallest: SimVerdict,
  story: readonly string[]
): void {
  eraseProgress()
  const { faults, virtualMs } = smallest
  const times = faults.map(
    ({ number, kind, atMs }) => `${kind} (fault ${number}) at ${(atMs / 1_000).toFixed(3)} s`
  )
  print(`        the smallest run that still breaks it, ${(virtualMs / 1_000).toFixed(1)} s:`)
  print(`          ${times.length === 0 ? 'no faults' : times.join(', ')}`)
  for (const line of story.slice(-storyLinesMax)) print(`          ${paint(clean(line), 'dim')}`)
  printBroken(smallest.check ?? '', smallest.text ?? '')
  print(`        replay: ${replay}`)
}

function printBroken(check: string, text: string): void {
  for (const line of text.split('\n')) print(`        ${paint(`${check}: ${clean(line)}`, 'red')}`)
}

/** The story of a run, told by running it once more. */
export function storyOf(options: SimOptions): string[] {
  const lines: string[] = []
  simulate({ ...options, story: line => lines.push(line) })
  return lines
}

export function printSummary(summary: SimSummary): void {
  eraseProgress()
  const { failures } = summary
  const result =
    failures.length === 0 ? paint('ok', 'green') : paint(`${failures.length} FAILED`, 'red')
  print(`${result}: ${totalsText(summary)}`)
  printMarks(summary)
}

/** What the runs came into, and what they did not: they say nothing about that. */
function printMarks({ marks, missing }: SimSummary): void {
  const hit = Object.entries(marks)
  print(`came into ${hit.length} of ${hit.length + missing.length} rare situations:`)
  for (const [mark, times] of hit) print(`  ${grouped(times).padStart(9)}  ${mark}`)
  for (const mark of missing) print(`  ${paint(`    never  ${mark}`, 'dim')}`)
}

export function showProgress(summary: SimSummary): void {
  if (!process.stderr.isTTY) return
  const { failures } = summary
  process.stderr.write(`\r\u001b[K${totalsText(summary)}, ${failures.length} failed`)
}

function eraseProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
}

function totalsText({ seeds, virtualSeconds, realSeconds }: SimSummary): string {
  const times = Math.round(virtualSeconds / Math.max(realSeconds, 0.001))
  return `${grouped(seeds)} seeds, ${grouped(virtualSeconds)} virtual seconds in ${grouped(realSeconds)} (${times} times as fast)`
}
