import type { Percentiles } from './recovery.ts'
import type { ChaosReport } from './report.ts'
import type { ReportCheck } from './report-checks.ts'
import { counted, duration, escaped, grouped } from './report-html.ts'
import { waits } from './report-lanes.ts'
import { pageStyle } from './report-style.ts'
import {
  checksTable,
  errorsLine,
  faultTable,
  operationsTable,
  recoveryTable,
  worstTable
} from './report-tables.ts'
import { timeline } from './report-timeline.ts'
import { verdictText, worstOutageText } from './report-words.ts'

const wideWidthPx = 1_040
const narrowWidthPx = 380

/** One page without anything from elsewhere: whether everything held, what was done, and what people noticed of it. */
export function reportPage(report: ChaosReport): string {
  const { scenario, proves, verdict } = report
  const outage = worstOutageText(report)
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escaped(scenario)}: ${verdict}</title><style>${pageStyle}</style></head><body>
<header><h1>${escaped(scenario)}</h1><p class="proves">${escaped(proves)}</p></header>
<section class="verdict ${verdict}"><b>${verdict}</b><div><p>${escaped(verdictText(report))}</p>${outage === undefined ? '' : `<p>${escaped(outage)}</p>`}</div></section>
${factList(report)}
${checksSection('What did not hold', report, ok => ok !== true)}
<h2>What happened</h2>
${timeline(report, wideWidthPx)}
${timeline(report, narrowWidthPx)}
${legend(report)}
${checksSection('Checks that hold', report, ok => ok === true)}
<h2>Slowest messages</h2>
<p class="about">From one user to the other, with who led each set on the way; each stands for those that waited for the same sets at the same time.</p>
${worstTable(report)}
<h2>Recovery</h2>
<p class="about">From a fault until a set that it touched works again, over all faults of a kind.</p>
${recoveryTable(report)}
<h2>Faults</h2>
${faultTable(report)}
${operationsTable(report)}
<h2>Errors</h2>
${errorsLine(report)}
<footer>Made by ringset chaos. Everything on this page is in report.json; <code>ringset check history.jsonl</code> judges the history again.</footer>
</body></html>
`
}

/** What failed first. */
function checksSection(
  title: string,
  { checks }: ChaosReport,
  belongs: (ok: ReportCheck['ok']) => boolean
): string {
  const shown = checks.filter(({ ok }) => belongs(ok))
  const failedFirst = [...shown].sort((a, b) => Number(a.ok !== false) - Number(b.ok !== false))
  return shown.length === 0 ? '' : `<h2>${title}</h2>\n${checksTable(failedFirst)}`
}

function factList(report: ChaosReport): string {
  const { seed, durationSeconds, messages, historyLines, faults } = report
  const { acked, sent, delivered, lost, duplicated, ack, delivery } = messages
  const facts: readonly (readonly [string, string])[] = [
    ['seed', `${seed}`],
    ['length', `${durationSeconds.toFixed(0)} s`],
    ['faults', grouped(faults.length)],
    ['acknowledged', `${grouped(acked)} of ${grouped(sent)}`],
    ['delivered', grouped(delivered)],
    ['lost', grouped(lost)],
    ['duplicated', grouped(duplicated)],
    ['until acknowledged', halfAndMost(ack)],
    ['until delivered', halfAndMost(delivery)],
    ...timesOf('slots sealed for', report.sealedMs, 'slot'),
    ...timesOf('users back at a gateway', report.usersBackMs, 'connection'),
    ...timesOf('dead gateways named for', report.wrongOnlineMs, 'death'),
    ['judged', `${grouped(historyLines)} lines of history`]
  ]
  const items = facts.map(
    ([name, value]) => `<div><dt>${name}</dt><dd>${escaped(value)}</dd></div>`
  )
  return `<dl class="facts">${items.join('')}</dl>`
}

function timesOf(name: string, times: Percentiles, of: string): [string, string][] {
  if (times.count === 0) return []
  return [[name, `${halfAndMost(times)} (${counted(times.count, of)})`]]
}

function halfAndMost({ p50Ms, p99Ms }: Percentiles): string {
  return `p50 ${duration(p50Ms)}, p99 ${duration(p99Ms)}`
}

function legend({ faults }: ChaosReport): string {
  const swatch = (style: string, text: string): string =>
    `<span class="item"><svg class="swatch" viewBox="0 0 16 11"><rect class="${style}" width="16" height="11"/></svg>${text}</span>`
  const cells = waits.map(({ style, text }) => swatch(style, text))
  const band = faults.length === 0 ? '' : swatch('band', 'a fault, numbered as below')
  return `<p class="legend">${band}${swatch('nobody', 'no leader is seen')}<span class="item">slowest acknowledgement inside a set, or across sets, by the second it was due:</span>${cells.join('')}</p>`
}
