import { describe, expect, it } from 'vitest'
import { facts, kill, oneAcknowledged, traffic } from '../../test/support/drill-facts.ts'
import { judgeNames } from '../check/check.ts'
import { buildReport, type ChaosReport } from './report.ts'
import type { RunFacts } from './report-checks.ts'
import { reportPage } from './report-page.ts'
import { meanings, verdictText, worstOutageText } from './report-words.ts'

const pageOf = (change: Partial<RunFacts> = {}): string => reportPage(buildReport(facts(change)))

/** Every text and every key of it, but for what the program itself chooses from. */
function hostile(report: ChaosReport): ChaosReport {
  const evil = (text: string): string => `${text}"><img src=x onerror=alert(1)>&'`
  const changed = (value: unknown): unknown => {
    if (typeof value === 'string') return evil(value)
    if (Array.isArray(value)) return value.map(changed)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, own]) => [key, changed(own)]))
  }
  const keyed = <V>(map: Readonly<Record<string, V>>): Record<string, V> =>
    Object.fromEntries(Object.entries(map).map(([key, value]) => [evil(key), value]))
  const { seconds, messages, recoveryMs, verdict, checks } = report
  return {
    ...(changed(report) as ChaosReport),
    verdict,
    checks: (changed(checks) as ChaosReport['checks']).map((one, i) => {
      return { ...one, ok: checks[i]!.ok }
    }),
    messages: { ...messages, errors: keyed(messages.errors) },
    recoveryMs: keyed(recoveryMs),
    seconds: seconds.map(row => ({ ...row, slowestMs: keyed(row.slowestMs) }))
  }
}

describe('the page of a report', () => {
  it('says at the top in words what came of it, and who waited longest', () => {
    const passed = buildReport(facts())
    expect(verdictText(passed)).toBe(
      'All 14 checks hold under 1 fault: every one of 1,100 acknowledged messages arrived, once and in order.'
    )
    expect(worstOutageText(passed)).toBe(
      'Longest wait: conversations of s1, 205\u00a0ms until the next acknowledgement after s1-a killed at 5.0 s.'
    )
    const lossy = buildReport(facts({ judgement: oneAcknowledged().judge(), missing: ['x'] }))
    expect(verdictText(lossy)).toBe('2 checks of 10 failed: loss, settled (1 delivery lost).')
    const alone = buildReport(facts({ faults: [{ ...kill, sets: ['s1', 's2'] }] }))
    expect(verdictText(alone)).toBe(
      'Nothing was found wrong, but 1 of 14 checks could not be decided: untouched.'
    )
    const gone = buildReport(facts({ samples: traffic(6_000, 6_001, 6_001) }))
    expect(worstOutageText(gone)).toContain('were not acknowledged again after s1-a killed')
    expect(worstOutageText(buildReport(facts({ faults: [] })))).toBeUndefined()
  })

  it('shows what did not hold before everything else', () => {
    const page = pageOf({ missing: ['b/d holds 0 of 1'] })
    const order = ['What did not hold', 'b/d holds 0 of 1', 'What happened', 'Checks that hold']
    const places = order.map(text => page.indexOf(text))
    expect(places.every(place => place > 0)).toBe(true)
    expect([...places].sort((a, b) => a - b)).toEqual(places)
    expect(pageOf()).not.toContain('What did not hold')
  })

  it('draws faults, leaders, the time without one, waits and epochs, for wide and narrow screens', () => {
    const samples = traffic(6_000, 6_200, 12_000)
    const across = samples.find(({ dueMs, homeSet }) => dueMs > 8_000 && homeSet === 's2')!
    Object.assign(across, { senderSet: 's1', ackedMs: across.dueMs + 900 })
    const page = pageOf({ sealedMs: [41, 20], samples })
    for (const words of [
      'across sets, due from 7 s on: slowest 900\u00a0ms',
      '1: s1-a killed, 5.0 to 6.0 s',
      's1-b leads s1 in term 2 from 5.2 s',
      's1: no leader is seen for 150\u00a0ms from 5.0 s',
      's1, due from 5 s on: slowest 205\u00a0ms',
      's2, due from 5 s on: slowest 5.0\u00a0ms',
      'epoch 5 from 5.3 s'
    ]) {
      expect(page.split(words), words).toHaveLength(3)
    }
  })

  it('holds everything that is in the report', () => {
    const done = { action: 'moveSlots', text: '8 of 8 slots moved', ok: true }
    const page = pageOf({ sealedMs: [41, 20], outcomes: [done] })
    for (const words of [
      'slots sealed for',
      'first-ack',
      'leader of s1',
      'TIMEOUT 2 times',
      '8 of 8 slots moved',
      'set s1 (led by s1-a, then s1-b)',
      'message 501 of p2p/a/b'
    ]) {
      expect(page).toContain(words)
    }
  })

  it('lets no text become markup, and loads nothing', () => {
    const outcomes = [{ action: 'moveSlots', text: 'refused', ok: false }]
    const errors = new Map([['TIMEOUT', 3]])
    const report = buildReport(facts({ missing: ['b holds 0 of 1'], outcomes, errors }))
    const page = reportPage(hostile(report))
    expect(page.split('&quot;&gt;&lt;img src=x').length).toBeGreaterThan(40)
    expect(page).not.toContain('<img')
    for (const one of [page, pageOf()]) {
      expect(one.replaceAll('&lt;img src=', '')).not.toMatch(/(?:src|href)=|url\(|@import|<script/)
    }
  })

  it('has words for every check', () => {
    const demanding = {
      firstAckMedianMs: 1,
      wrongOnlineMs: 1,
      usersBackMs: 1,
      slotsMoved: 1,
      sealedMs: 1,
      duringTimes: 1,
      convergeMs: 1,
      memoryTimes: 1,
      operations: 1
    }
    const { scenario } = facts()
    const report = buildReport(
      facts({
        scenario: { ...scenario, expect: { ...scenario.expect, ...demanding } },
        failStops: [{ action: 'diskFull', node: 's1-a', stopped: true }]
      })
    )
    const names = [...judgeNames, ...report.checks.map(({ name }) => name)]
    expect(names.filter(name => !(name in meanings))).toEqual([])
    expect(Object.keys(meanings).filter(name => !names.includes(name))).toEqual([])
  })
})
