import type { ChaosReport } from './report.ts'
import { at, type Frame } from './report-frame.ts'
import { duration, escaped, grouped } from './report-html.ts'
import { type Lane, laneHeightPx, lanesOf } from './report-lanes.ts'
import type { SecondRow } from './report-seconds.ts'
import { faultText } from './report-words.ts'

const chartHeightPx = 130
const headPx = 52
const numbersPx = 18
const axisPx = 30

/** Everything over one axis of time, for a width in which its text can be read. */
export function timeline(report: ChaosReport, widthPx: number): string {
  const { seconds, durationSeconds } = report
  const narrow = widthPx < 600
  const [leftPx, rightPx] = narrow ? [68, 8] : [92, 14]
  const lengthSeconds = Math.max(1, durationSeconds)
  const frame: Frame = {
    widthPx,
    leftPx,
    rightPx,
    x: second =>
      leftPx + (Math.min(second, lengthSeconds) / lengthSeconds) * (widthPx - leftPx - rightPx)
  }
  const rateTop = numbersPx + headPx
  const latencyTop = rateTop + chartHeightPx + headPx
  const lanesTop = latencyTop + chartHeightPx + 24
  const lanes = lanesOf(report, frame, narrow ? 10 : 14)
  const bottom = lanesTop + lanes.length * laneHeightPx
  return `<svg class="${narrow ? 'narrow' : 'wide'}" viewBox="0 0 ${widthPx} ${bottom + axisPx}" role="img" aria-label="What happened, second by second">
${faultBands(report, frame, bottom)}
${rateChart(seconds, frame, rateTop)}
${latencyChart(seconds, frame, latencyTop)}
${loadEnd(report, frame, rateTop, bottom)}
${lanes
  .map(({ title, body }: Lane, i) => {
    const top = lanesTop + i * laneHeightPx
    return `<g transform="translate(0 ${top})"><text class="mark" x="${leftPx - 8}" y="13">${escaped(title)}</text>${body}</g>`
  })
  .join('\n')}
${timeAxis(durationSeconds, frame, bottom)}
</svg>`
}

/** From the moment of a fault until it is undone; numbered as in the table, where there is room. */
function faultBands({ faults }: ChaosReport, { x }: Frame, bottom: number): string {
  let freeFrom = 0
  const bands = faults.map((fault, i) => {
    const { from, to } = fault
    const left = x(from)
    const text = `${i + 1}: ${faultText(fault)}, ${from.toFixed(1)} to ${to.toFixed(1)} s`
    const shape = `<rect class="band" x="${at(left)}" y="${numbersPx}" width="${at(Math.max(2, x(to) - left))}" height="${bottom - numbersPx}"/><line class="edge" x1="${at(left)}" x2="${at(left)}" y1="${numbersPx}" y2="${bottom}"/>`
    const room = left >= freeFrom
    if (room) freeFrom = left + 18
    const number = room ? `<text class="fault" x="${at(left)}" y="12">${i + 1}</text>` : ''
    return `<g>${shape}${number}<title>${escaped(text)}</title></g>`
  })
  return bands.join('\n')
}

interface Series {
  readonly name: string
  readonly style: string
  readonly points: readonly (readonly [second: number, value: number])[]
}

function rateChart(seconds: readonly SecondRow[], frame: Frame, top: number): string {
  // The last row is of less than a second.
  const rows = seconds.length > 1 ? seconds.slice(0, -1) : seconds
  const series = (name: string, style: string, field: 'sent' | 'acked' | 'delivered'): Series => {
    return { name, style, points: rows.map(row => [row.second + 0.5, row[field]]) }
  }
  const most = roundedUp(
    rows.reduce((high, { sent, acked, delivered }) => Math.max(high, sent, acked, delivered), 1)
  )
  const y = (value: number): number => top + chartHeightPx * (1 - value / most)
  return chart('Messages a second', frame, top, y, {
    marks: [0, most / 2, most].map(value => [value, `${grouped(value)}/s`]),
    series: [
      series('due', 'due', 'sent'),
      series('acknowledged', 'acked', 'acked'),
      series('delivered', 'delivered', 'delivered')
    ]
  })
}

/** A logarithmic scale: an outage is a thousand times longer than the usual. */
function latencyChart(seconds: readonly SecondRow[], frame: Frame, top: number): string {
  const points = (field: 'ackP50Ms' | 'ackP99Ms' | 'deliveryP99Ms'): Series['points'] =>
    seconds.flatMap(row => {
      const value = row[field]
      return value === null ? [] : [[row.second + 0.5, value] as const]
    })
  const series: readonly Series[] = [
    { name: 'ack p50', style: 'acked', points: points('ackP50Ms') },
    { name: 'ack p99', style: 'slowest', points: points('ackP99Ms') },
    { name: 'delivery p99', style: 'delivered', points: points('deliveryP99Ms') }
  ]
  const values = series.flatMap(one => one.points.map(([, value]) => Math.max(0.1, value)))
  const low = Math.floor(Math.log10(values.reduce((least, value) => Math.min(least, value), 100)))
  const high = Math.max(
    low + 2,
    Math.ceil(Math.log10(values.reduce((most, value) => Math.max(most, value), 1)))
  )
  const y = (value: number): number =>
    top + chartHeightPx * (1 - (Math.log10(Math.max(10 ** low, value)) - low) / (high - low))
  const marks = Array.from({ length: high - low + 1 }, (_, i): [number, string] => {
    return [10 ** (low + i), duration(10 ** (low + i))]
  })
  return chart('Time taken, by when a message was due', frame, top, y, { marks, series })
}

function chart(
  title: string,
  { widthPx, leftPx, rightPx, x }: Frame,
  top: number,
  y: (value: number) => number,
  { marks, series }: { marks: readonly (readonly [number, string])[]; series: readonly Series[] }
): string {
  const grid = marks.map(([value, text]) => {
    const line = at(y(value))
    return `<line class="grid" x1="${leftPx}" x2="${widthPx - rightPx}" y1="${line}" y2="${line}"/><text class="mark" x="${leftPx - 8}" y="${at(y(value) + 4)}">${text}</text>`
  })
  let legendPx = leftPx
  const lines = series.map(({ name, style, points }) => {
    const path = points.map(([second, value], i) => {
      return `${i === 0 ? 'M' : 'L'}${at(x(second))} ${at(y(value))}`
    })
    const keyPx = legendPx
    legendPx += 32 + name.length * 6.3
    const key = `<line class="line ${style}" x1="${at(keyPx)}" x2="${at(keyPx + 16)}" y1="${top - 14}" y2="${top - 14}"/><text class="key" x="${at(keyPx + 20)}" y="${top - 10}">${name}</text>`
    return `${key}<path class="line ${style}" d="${path.join('')}"/>`
  })
  return `<text class="title" x="${leftPx}" y="${top - 27}">${title}</text>${grid.join('')}${lines.join('')}`
}

function loadEnd(
  { seconds, durationSeconds }: ChaosReport,
  { x }: Frame,
  top: number,
  bottom: number
): string {
  const end = seconds.findLastIndex(({ sent }) => sent > 0) + 1
  if (end === 0 || durationSeconds - end < 1) return ''
  const left = at(x(end))
  return `<line class="end" x1="${left}" x2="${left}" y1="${top}" y2="${bottom}"><title>nothing is sent any more</title></line>`
}

function timeAxis(durationSeconds: number, { x, widthPx, leftPx }: Frame, top: number): string {
  const most = (widthPx - leftPx) / 55
  const steps = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600]
  const step = steps.find(one => durationSeconds / one <= most) ?? 3_600
  const marks: string[] = []
  for (let second = 0; second <= durationSeconds - step / 4; second += step) {
    const left = at(x(second))
    marks.push(
      `<line class="grid" x1="${left}" x2="${left}" y1="${top}" y2="${top + 5}"/><text class="tick" x="${left}" y="${top + 18}">${second} s</text>`
    )
  }
  return marks.join('')
}

/** A number not much higher that people read off an axis easily. */
function roundedUp(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value))
  return [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]
    .map(times => times * unit)
    .find(one => one >= value)!
}
