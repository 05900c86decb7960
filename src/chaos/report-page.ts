import type { ChaosReport, SecondRow } from './report.ts'

const widthPx = 1_040
const leftPx = 64
const rightPx = 16
const plotPx = widthPx - leftPx - rightPx
const laneHeightPx = 22
const chartHeightPx = 150
const colours = [
  '#3b6fb6',
  '#b6543b',
  '#4c9a5b',
  '#8a5bb0',
  '#b58b2a',
  '#3a9a9a',
  '#b03b7a',
  '#6b6b6b'
]

/** One page without anything from elsewhere: what was done, what people noticed of it, and whether everything held. */
export function reportPage(report: ChaosReport): string {
  const { scenario, proves, seed, verdict, messages, durationSeconds, historyLines } = report
  const { sealedMs } = report
  const facts = [
    ['seed', seed],
    ['length', `${durationSeconds.toFixed(0)} s`],
    ['messages', `${count(messages.acked)} acknowledged of ${count(messages.sent)}`],
    ['delivered', count(messages.delivered)],
    ['lost', messages.lost],
    ['duplicated', messages.duplicated],
    ['acknowledged in', `p50 ${ms(messages.ack.p50Ms)}, p99 ${ms(messages.ack.p99Ms)}`],
    ['delivered in', `p50 ${ms(messages.delivery.p50Ms)}, p99 ${ms(messages.delivery.p99Ms)}`],
    ...(sealedMs.count === 0
      ? []
      : [
          [
            'slots sealed for',
            `p50 ${ms(sealedMs.p50Ms)}, p99 ${ms(sealedMs.p99Ms)}, of ${count(sealedMs.count)}`
          ] as const
        ]),
    ['judged', `${count(historyLines)} lines of history`]
  ] as const
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(scenario)}: ${verdict}</title><style>${style}</style></head><body>
<header><h1>${escaped(scenario)}</h1><p class="verdict ${verdict}">${verdict}</p></header>
<p class="proves">${escaped(proves)}</p>
<dl class="facts">${facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${escaped(String(value))}</dd></div>`).join('')}</dl>
<h2>What happened</h2>
${timeline(report)}
<h2>Checks</h2>
${checksTable(report)}
<h2>Recovery</h2>
${recoveryTable(report)}
${faultTable(report)}
${errorsLine(messages.errors)}
<footer>ringset chaos · everything on this page is in report.json; history.jsonl can be judged again with <code>ringset check</code>.</footer>
</body></html>
`
}

function timeline(report: ChaosReport): string {
  const { seconds, durationSeconds, faults } = report
  const x = (second: number): number => leftPx + (second / Math.max(1, durationSeconds)) * plotPx
  const lanes = leaderLanes(report, x)
  const chartsTop = 10
  const rateTop = chartsTop
  const latencyTop = rateTop + chartHeightPx + 34
  const lanesTop = latencyTop + chartHeightPx + 34
  const height = lanesTop + lanes.length * laneHeightPx + 34
  const bands = faults
    .map(({ from, to, action, nodes }) => {
      const left = x(from)
      const width = Math.max(2, x(to) - left)
      return `<rect class="band" x="${left.toFixed(1)}" y="${chartsTop}" width="${width.toFixed(1)}" height="${height - chartsTop - 26}"><title>${escaped(`${action} ${nodes.join(', ')}, ${from.toFixed(1)} to ${to.toFixed(1)} s`)}</title></rect>`
    })
    .join('')
  return `<svg viewBox="0 0 ${widthPx} ${height}" role="img" aria-label="timeline">
${bands}
${rateChart(seconds, x, rateTop)}
${latencyChart(seconds, x, latencyTop)}
${lanes.map((lane, i) => lane(lanesTop + i * laneHeightPx)).join('\n')}
${timeAxis(durationSeconds, x, height - 18)}
</svg>
<p class="legend"><span class="swatch band"></span>a fault <span class="swatch" style="background:${colours[0]}"></span>acknowledged a second, median <span class="swatch" style="background:${colours[2]}"></span>delivered a second <span class="swatch" style="background:${colours[1]}"></span>99th percentile</p>`
}

type X = (second: number) => number

function rateChart(seconds: readonly SecondRow[], x: X, top: number): string {
  const most = Math.max(1, ...seconds.map(({ acked, delivered }) => Math.max(acked, delivered)))
  const y = (value: number): number => top + chartHeightPx * (1 - value / most)
  const middle = ({ second }: SecondRow): number => second + 0.5
  return `${frame(
    'messages a second',
    top,
    [0, most / 2, most].map(value => [y(value), count(Math.round(value))])
  )}
${path(
  seconds.map(row => [x(middle(row)), y(row.acked)]),
  colours[0]!
)}
${path(
  seconds.map(row => [x(middle(row)), y(row.delivered)]),
  colours[2]!
)}`
}

/** A logarithmic scale from a millisecond up: an outage is a thousand times longer than the usual. */
function latencyChart(seconds: readonly SecondRow[], x: X, top: number): string {
  const worst = Math.max(10, ...seconds.map(({ ackP99Ms }) => ackP99Ms ?? 0))
  const decades = Math.ceil(Math.log10(worst))
  const y = (value: number): number =>
    top + chartHeightPx * (1 - Math.log10(Math.max(1, value)) / decades)
  const marks = Array.from({ length: decades + 1 }, (_, power): [number, string] => {
    return [y(10 ** power), ms(10 ** power)]
  })
  const points = (field: 'ackP50Ms' | 'ackP99Ms'): [number, number][] =>
    seconds.flatMap(row => {
      const value = row[field]
      return value === null ? [] : [[x(row.second + 0.5), y(value)] as [number, number]]
    })
  return `${frame('until acknowledged, by when it was due', top, marks)}
${path(points('ackP50Ms'), colours[0]!)}
${path(points('ackP99Ms'), colours[1]!)}`
}

function frame(title: string, top: number, marks: readonly (readonly [number, string])[]): string {
  const lines = marks.map(
    ([y, text]) =>
      `<line class="grid" x1="${leftPx}" x2="${widthPx - rightPx}" y1="${y.toFixed(1)}" y2="${y.toFixed(1)}"/><text class="mark" x="${leftPx - 8}" y="${(y + 4).toFixed(1)}">${text}</text>`
  )
  return `<text class="title" x="${leftPx}" y="${top + chartHeightPx + 20}">${title}</text>${lines.join('')}`
}

function path(points: readonly (readonly [number, number])[], colour: string): string {
  const text = points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`)
  return `<path d="${text.join('')}" fill="none" stroke="${colour}" stroke-width="1.6"/>`
}

/** A lane for each group, coloured by who leads it, and one for the table's epochs. */
function leaderLanes(
  { leaders, epochs, durationSeconds }: ChaosReport,
  x: X
): ((top: number) => string)[] {
  const nodes = [...new Set(leaders.map(({ node }) => node))].sort()
  const colourOf = (node: string): string => colours[nodes.indexOf(node) % colours.length]!
  const groups = [...new Set(leaders.map(({ group }) => group))].sort()
  const lanes = groups.map(group => {
    const own = leaders.filter(change => change.group === group)
    const parts = own.map(({ at, node, term }, i) => {
      const from = x(Math.max(0, at))
      const to = x(own[i + 1]?.at ?? durationSeconds)
      return { from, width: Math.max(1, to - from), node, term, at }
    })
    return (top: number): string =>
      laneTitle(`${group} led by`, top) +
      parts
        .map(
          ({ from, width, node, term, at }) =>
            `<rect x="${from.toFixed(1)}" y="${top}" width="${width.toFixed(1)}" height="${laneHeightPx - 6}" fill="${colourOf(node)}" opacity="0.75"><title>${escaped(`${node}, term ${term}, from ${at.toFixed(1)} s`)}</title></rect>${width > 40 ? `<text class="inside" x="${(from + 5).toFixed(1)}" y="${top + 12}">${escaped(node)}</text>` : ''}`
        )
        .join('')
  })
  lanes.push(
    (top: number): string =>
      laneTitle('epochs', top) +
      epochs
        .map(
          ({ at, epoch }) =>
            `<rect x="${x(at).toFixed(1)}" y="${top}" width="2" height="${laneHeightPx - 6}" fill="#555"><title>epoch ${epoch}, at ${at.toFixed(1)} s</title></rect>`
        )
        .join('')
  )
  return lanes
}

function laneTitle(text: string, top: number): string {
  return `<text class="mark" x="${leftPx - 8}" y="${top + 12}">${escaped(text.replace(' led by', ''))}</text>`
}

function timeAxis(durationSeconds: number, x: X, y: number): string {
  const step =
    [1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find(one => durationSeconds / one <= 14) ?? 3_600
  const marks: string[] = []
  for (let second = 0; second <= durationSeconds; second += step) {
    marks.push(`<text class="tick" x="${x(second).toFixed(1)}" y="${y + 12}">${second} s</text>`)
  }
  return marks.join('')
}

function checksTable({ checks }: ChaosReport): string {
  const rows = checks.map(({ name, ok, detail, examples }) => {
    const mark = ok === true ? 'pass' : ok === false ? 'fail' : 'unknown'
    const shown = examples.map(example => `<li>${escaped(example)}</li>`).join('')
    return `<tr><td class="mark-${mark}">${mark}</td><th>${escaped(name)}</th><td>${escaped(detail)}${shown === '' ? '' : `<ul>${shown}</ul>`}</td></tr>`
  })
  return `<table>${rows.join('')}</table>`
}

function recoveryTable({ recoveryMs }: ChaosReport): string {
  const rows = Object.entries(recoveryMs).flatMap(
    ([action, { elected, firstAck, firstDelivery }]) =>
      (
        [
          ['another leader', elected],
          ['first acknowledgement', firstAck],
          ['first delivery', firstDelivery]
        ] as const
      )
        .filter(([, { count: seen }]) => seen > 0)
        .map(
          ([what, { count: seen, p50Ms, p99Ms, maxMs }]) =>
            `<tr><th>${escaped(action)}</th><td>${what}</td><td class="number">${seen}</td><td class="number">${ms(p50Ms)}</td><td class="number">${ms(p99Ms)}</td><td class="number">${ms(maxMs)}</td></tr>`
        )
  )
  if (rows.length === 0) return '<p>No fault touched a set.</p>'
  return `<table><thead><tr><th>after</th><th>until</th><th>seen</th><th>p50</th><th>p99</th><th>longest</th></tr></thead>${rows.join('')}</table>`
}

function faultTable({ faults, recoveries }: ChaosReport): string {
  const rows = faults.map(({ action, target, nodes, from, to }, i) => {
    const own = recoveries.filter(({ fault }) => fault === i)
    const texts = own.map(
      ({ set, electedMs, firstAckMs, firstDeliveryMs }) =>
        `${escaped(set)}: leader ${known(electedMs)}, ack ${known(firstAckMs)}, delivery ${known(firstDeliveryMs)}`
    )
    return `<tr><td class="number">${from.toFixed(1)}</td><th>${escaped(action)}</th><td>${escaped(nodes.join(', '))}</td><td>${escaped(target)}</td><td class="number">${(to - from).toFixed(1)}</td><td>${texts.join('<br>')}</td></tr>`
  })
  if (rows.length === 0) return ''
  return `<table><thead><tr><th>at s</th><th>fault</th><th>nodes</th><th>target</th><th>for s</th><th>after it</th></tr></thead>${rows.join('')}</table>`
}

function errorsLine(errors: Readonly<Record<string, number>>): string {
  const texts = Object.entries(errors).map(([code, times]) => `${code} ${times} times`)
  return texts.length === 0
    ? '<p>No operation ended in an error.</p>'
    : `<p>Operations ended in an error: ${escaped(texts.join(', '))}.</p>`
}

const known = (value: number | null): string => (value === null ? '–' : ms(value))

function ms(value: number): string {
  if (value >= 10_000) return `${(value / 1_000).toFixed(0)} s`
  if (value >= 1_000) return `${(value / 1_000).toFixed(1)} s`
  return `${value >= 10 || value === 1 ? value.toFixed(0) : value.toFixed(1)} ms`
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

const style = `
:root{color-scheme:light dark;--ink:#1d2129;--soft:#6a7280;--line:#d9dde3;--ground:#fcfcfd;--band:#e7b45533}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ec;--soft:#9aa3b0;--line:#343a44;--ground:#15181d;--band:#e7b45533}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:${widthPx}px;margin:2rem auto;padding:0 1rem}
header{display:flex;align-items:center;gap:1rem}h1{margin:0;font-size:1.7rem}h2{margin:2.2rem 0 .6rem;font-size:1.15rem}
.verdict{margin:0;padding:.15rem .8rem;border-radius:1rem;color:#fff;font-weight:600}.pass{background:#2e8b57}.fail{background:#c0392b}.unknown{background:#b58b2a}
.proves{color:var(--soft);margin-top:.3rem}.facts{display:flex;flex-wrap:wrap;gap:.4rem 2rem}.facts dt{color:var(--soft);font-size:.8rem}.facts dd{margin:0;font-weight:600}
svg{width:100%;height:auto}.band{fill:var(--band)}.grid{stroke:var(--line)}.mark,.tick,.title,.inside{font-size:11px;fill:var(--soft)}.mark{text-anchor:end}.tick{text-anchor:middle}.title{font-weight:600}.inside{fill:#fff}
.legend{color:var(--soft);font-size:.85rem}.swatch{display:inline-block;width:.9rem;height:.7rem;margin:0 .3rem 0 1rem;border-radius:2px}.swatch.band{background:var(--band);border:1px solid #e7b455}
table{border-collapse:collapse;width:100%;margin:.6rem 0 1.4rem}th,td{text-align:left;vertical-align:top;padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--line)}th{font-weight:600}thead th{color:var(--soft);font-size:.8rem}
.number{text-align:right;font-variant-numeric:tabular-nums}.mark-pass{color:#2e8b57}.mark-fail{color:#c0392b;font-weight:700}.mark-unknown{color:#b58b2a;font-weight:700}ul{margin:.2rem 0;padding-left:1.2rem;color:var(--soft)}
footer{margin:2rem 0;color:var(--soft);font-size:.85rem}`
