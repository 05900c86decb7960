import type { ChaosReport } from './report.ts'
import { at, type Frame } from './report-frame.ts'
import { duration, escaped } from './report-html.ts'
import type { SecondRow } from './report-seconds.ts'
import { isOperation } from './scenario.ts'

export const laneHeightPx = 24
const barPx = 18
const nodeStyles = 5

/** One row under the charts. */
export interface Lane {
  readonly title: string
  /** Markup, from 0 down. */
  readonly body: string
}

/** Each class of a cell, from its least wait on. */
export const waits = [
  { style: 'wait-0', fromMs: 0, text: 'under 100 ms' },
  { style: 'wait-1', fromMs: 100, text: '100 ms' },
  { style: 'wait-2', fromMs: 300, text: '300 ms' },
  { style: 'wait-3', fromMs: 1_000, text: '1 s' },
  { style: 'wait-4', fromMs: 3_000, text: '3 s or more' },
  { style: 'wait-never', fromMs: Number.POSITIVE_INFINITY, text: 'never' }
] as const

/** For each set who led it and how long messages inside it waited, how long those across sets did, who led the arbiters, and the epochs of the routing table. */
export function lanesOf(report: ChaosReport, frame: Frame, titleMax: number): Lane[] {
  const { leaders, seconds } = report
  const waiting = new Set(seconds.flatMap(({ slowestMs }) => Object.keys(slowestMs)))
  const led = new Set(leaders.map(({ group }) => group))
  const lanes: Lane[] = []
  const titled = (id: string, what: string): string => {
    const room = titleMax - what.length - 1
    return `${id.length > room ? `${id.slice(0, Math.max(1, room - 1))}…` : id} ${what}`
  }
  for (const id of [...new Set([...waiting, ...led])].filter(one => one !== 'arbiter').sort()) {
    if (led.has(id))
      lanes.push({ title: titled(id, 'leader'), body: leaderBars(report, id, frame) })
    if (waiting.has(id))
      lanes.push({
        title: titled(id, 'waits'),
        body: waitCells(report, id, frame, ({ slowestMs }) => slowestMs[id])
      })
  }
  if (seconds.some(({ slowestAcrossMs }) => slowestAcrossMs !== undefined)) {
    const body = waitCells(report, 'across sets', frame, row => row.slowestAcrossMs)
    lanes.push({ title: 'across', body })
  }
  if (led.has('arbiter')) {
    lanes.push({ title: 'arbiter', body: leaderBars(report, 'arbiter', frame) })
  }
  lanes.push({ title: 'epoch', body: epochMarks(report, frame) })
  return lanes
}

/** A new leader shows; that the old one is gone is known from the fault that hit it. */
function leaderBars({ leaders, faults, durationSeconds }: ChaosReport, id: string, { x }: Frame) {
  const own = leaders.filter(({ group }) => group === id)
  const nodes = [...new Set(own.map(({ node }) => node))].sort()
  const bars = own.map(({ at: from, node, term }, i) => {
    const next = own[i + 1]?.at
    const to = next ?? durationSeconds
    const hits = faults.filter(
      one => one.nodes.includes(node) && one.from >= from && one.from < to && deposes(one.action)
    )
    const gone = next === undefined ? to : (hits.at(-1)?.from ?? to)
    const style = `node-${nodes.indexOf(node) % nodeStyles}`
    const text = `${node} leads ${id} in term ${term} from ${from.toFixed(1)} s`
    const bar = box(style, x(from), x(gone), text, node)
    const gap = `${id}: no leader is seen for ${duration((to - gone) * 1_000)} from ${gone.toFixed(1)} s`
    return gone < to ? bar + box('nobody', x(gone), x(to), gap) : bar
  })
  return bars.join('')
}

function deposes(action: string): boolean {
  return action !== 'slowDisk' && action !== 'clockOffset' && !isOperation(action as never)
}

function waitCells(
  { seconds, durationSeconds }: ChaosReport,
  which: string,
  { x }: Frame,
  slowestOf: (row: SecondRow) => number | null | undefined
): string {
  const cells = seconds.map(row => {
    const { second } = row
    const ms = slowestOf(row)
    if (ms === undefined) return ''
    const { style } = waits.findLast(({ fromMs }) => (ms ?? Number.POSITIVE_INFINITY) >= fromMs)!
    const slowest = ms === null ? 'one was never acknowledged' : `slowest ${duration(ms)}`
    const text = `${which}, due from ${second} s on: ${slowest}`
    return box(style, x(second), x(Math.min(second + 1, durationSeconds)), text)
  })
  return cells.join('')
}

function epochMarks({ epochs }: ChaosReport, { x, widthPx }: Frame): string {
  const marks = epochs.map(({ at: second, epoch }, i) => {
    const left = x(second)
    const next = i + 1 < epochs.length ? x(epochs[i + 1]!.at) : widthPx
    const roomy = left + 8 + `${epoch}`.length * 7 < next
    const label = roomy ? `<text class="key" x="${at(left + 5)}" y="13">${epoch}</text>` : ''
    return `<g><line class="epoch" x1="${at(left)}" x2="${at(left)}" y1="0" y2="${barPx}"/>${label}<title>epoch ${epoch} from ${second.toFixed(1)} s</title></g>`
  })
  return marks.join('')
}

function box(style: string, from: number, to: number, title: string, label = ''): string {
  const width = Math.max(1, to - from)
  const fits = label !== '' && width > label.length * 6.6 + 10
  const text = fits
    ? `<text class="inside" x="${at(from + 5)}" y="13">${escaped(label)}</text>`
    : ''
  return `<g><rect class="${style}" x="${at(from)}" y="0" width="${at(width)}" height="${barPx}"/>${text}<title>${escaped(title)}</title></g>`
}
