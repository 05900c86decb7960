import type { Comparison } from '../src/chaos/compare.ts'
import type { Percentiles } from '../src/chaos/recovery.ts'
import type { ChaosReport } from '../src/chaos/report.ts'
import type { ChaosProgress } from '../src/chaos/run.ts'
import type { SuiteReport } from '../src/chaos/suite.ts'
import { clean, grouped, note, paint, print, tableLines } from './terminal.ts'

/** The fields that the command line promises, and the rest of the report but for its series. */
export function contractOf(report: ChaosReport): object {
  const { scenario, seed, verdict, checks, messages, faults, operations } = report
  const { recoveryMs, wrongOnlineMs, usersBackMs, sealedMs, durationSeconds } = report
  const { acked, lost, duplicated } = messages
  return {
    scenario,
    seed,
    verdict,
    checks: checks.map(({ name, ok, detail }) => ({ name, ok, detail })),
    acked,
    lost,
    duplicated,
    recoveryMs,
    wrongOnlineMs,
    usersBackMs,
    sealedMs,
    operations,
    faults: faults.length,
    durationSeconds
  }
}

let lastPhase = ''

export function showProgress(progress: ChaosProgress): void {
  const { phase, secondsLeft, acked, delivered, ackedPerSecond, disturbed, event } = progress
  if (phase !== lastPhase) {
    lastPhase = phase
    eraseLine()
    note(`  ${phase}`)
  }
  if (event !== undefined) {
    eraseLine()
    note(`  ${clean(event)}`)
  }
  if (!process.stderr.isTTY) return
  const words = [
    phase === 'load' ? `${Math.ceil(secondsLeft)} s left` : phase,
    `${grouped(acked)} acked`,
    `${grouped(delivered)} delivered`,
    `${grouped(ackedPerSecond)}/s`,
    ...(disturbed.length === 0 ? [] : [`hit: ${disturbed.join(', ')}`])
  ]
  process.stderr.write(`\r\u001b[K${words.join(' · ')}`)
}

export function eraseLine(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
}

export function printReport(report: ChaosReport): void {
  const { checks, messages, recoveryMs, verdict, seed, faults } = report
  const wide = Math.max(...checks.map(({ name }) => name.length))
  for (const { name, ok, detail, examples } of checks) {
    const mark =
      ok === true
        ? paint('ok     ', 'green')
        : ok === false
          ? paint('FAILED ', 'red')
          : paint('unknown', 'yellow')
    print(`${mark}  ${name.padEnd(wide)}  ${detail}`)
    for (const example of examples) print(`         ${paint(clean(example), 'dim')}`)
  }
  print()
  const rows = Object.entries(recoveryMs).map(([action, measured]) => {
    const { detected, elected, converged, firstAck, firstDelivery, fullRate } = measured
    const times = [detected, elected, converged, firstAck, firstDelivery, fullRate]
    return [action, firstAck.count, ...times.map(halfAndMost)]
  })
  if (rows.length > 0) {
    print('p50 / p99 from a fault until …')
    for (const line of tableLines(['after', 'seen', ...untilNames], rows)) print(line)
    print()
  }
  const { wrongOnlineMs, usersBackMs, sealedMs, operations } = report
  if (usersBackMs.count > 0) {
    print(
      `${grouped(usersBackMs.count)} connections broke with their gateways; devices were back after ${halfAndMost(usersBackMs)} (p50 / p99)`
    )
  }
  if (wrongOnlineMs.count > 0) {
    print(
      `${wrongOnlineMs.count} gateways died; look-ups named them for ${halfAndMost(wrongOnlineMs)} (p50 / p99)`
    )
  }
  if (sealedMs.count > 0) {
    print(`${grouped(sealedMs.count)} slots moved, sealed for ${halfAndMost(sealedMs)} (p50 / p99)`)
  }
  for (const { action, text } of operations) print(clean(`${action}: ${text}`))
  const { sent, acked, delivered, lost, duplicated, ack } = messages
  print(
    `${grouped(acked)} of ${grouped(sent)} messages acknowledged (p50 ${ack.p50Ms.toFixed(1)} ms, p99 ${ack.p99Ms.toFixed(1)} ms), ${grouped(delivered)} delivered, ${lost} lost, ${duplicated} duplicated`
  )
  const colour = verdict === 'pass' ? 'green' : verdict === 'fail' ? 'red' : 'yellow'
  print(`${paint(verdict, colour)}: ${faults.length} faults, seed ${seed}`)
}

/** What is measured from a fault on. */
const untilNames = [
  'noticed',
  'another leader',
  'followed',
  'first ack',
  'first delivery',
  '95 % rate'
]

/** `p50 / p99` in milliseconds. */
function halfAndMost({ count, p50Ms, p99Ms }: Percentiles): string {
  return count === 0 ? '–' : `${Math.round(p50Ms)} / ${Math.round(p99Ms)} ms`
}

/** The one table of a suite. */
export function printSuite(report: SuiteReport): void {
  const { rows, runs: wanted, notRun, stopped, verdict, seconds } = report
  const several = wanted > 1
  const lines = rows.map(row => {
    const { detection, election, convergence, firstAck, firstDelivery } = row.measures
    const { fullRate, usersBack, wrongOnline } = row.measures
    const led = [detection, election, convergence]
    const times = [...led, firstAck, firstDelivery, fullRate, usersBack, wrongOnline]
    const passed = several ? [`${passedOf(row.runs)} of ${wanted}`] : []
    return [row.scenario, row.verdict, ...passed, row.faults, ...times.map(halfAndMost)]
  })
  for (const name of notRun.filter(one => rows.every(({ scenario }) => scenario !== one))) {
    lines.push([name, 'not run', ...(several ? ['–'] : []), 0, ...Array<string>(8).fill('–')])
  }
  print('p50 / p99 from a fault until …')
  const head = ['scenario', 'verdict', ...(several ? ['passed'] : []), 'faults']
  const times = [...untilNames, 'users back', 'wrongly online']
  for (const line of tableLines([...head, ...times], lines)) print(line)
  print()
  for (const { scenario, runs } of rows) {
    for (const { seed, failures } of runs) {
      if (failures.length > 0) print(clean(`${scenario}, seed ${seed}: ${failures.join(', ')}`))
    }
  }
  const passed = rows.filter(row => row.verdict === 'pass').length
  const all = rows.flatMap(({ runs }) => runs)
  const ofRuns = several ? `, ${passedOf(all)} of ${all.length} runs` : ''
  const left =
    notRun.length === 0
      ? ''
      : `, ${notRun.length} not run${several ? ' as often as asked for' : ''}, ${stopped ? 'as it was stopped' : 'for want of time'}`
  print(
    `${paint(verdict, verdict === 'pass' ? 'green' : 'red')}: ${passed} of ${rows.length} scenarios passed${ofRuns} in ${seconds} s${left}`
  )
}

function passedOf(runs: readonly { readonly verdict: string }[]): number {
  return runs.filter(({ verdict }) => verdict === 'pass').length
}

export function printComparison(comparison: Comparison): void {
  const { figures, verdicts, onlyBefore, onlyAfter, broken } = comparison
  const rows = figures.map(({ scenario, measure, before, after, ratio, change }) => {
    const times = ratio === null ? '–' : `${ratio.toFixed(2)} ×`
    const word = change === 'same' ? '' : change
    return [scenario, measure, `${Math.round(before)} ms`, `${Math.round(after)} ms`, times, word]
  })
  for (const line of tableLines(['scenario', 'measure', 'A', 'B', 'B to A', ''], rows)) print(line)
  print()
  for (const { scenario, before, after } of verdicts) {
    if (before !== after) print(clean(`${scenario}: ${before} in A, ${after} in B`))
  }
  if (onlyBefore.length > 0) print(clean(`only in A: ${onlyBefore.join(', ')}`))
  if (onlyAfter.length > 0) print(clean(`only in B: ${onlyAfter.join(', ')}`))
  const worse = figures.filter(({ change }) => change === 'worse')
  const better = figures.filter(({ change }) => change === 'better')
  print(`${figures.length} figures compared: ${worse.length} worse, ${better.length} better in B`)
  if (broken.length > 0) print(paint(clean(`no longer passed: ${broken.join(', ')}`), 'red'))
}
