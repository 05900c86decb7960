import { describe, expect, it } from 'vitest'
import { HistoryRecorder } from './history-recorder.ts'
import { type FaultRecord, percentiles, recoveries, untouched } from './recovery.ts'
import { buildReport } from './report.ts'
import type { RunFacts } from './report-checks.ts'
import { reportPage } from './report-page.ts'
import { parseScenario } from './scenario.ts'
import type { MessageSample } from './workload.ts'

const startMs = 1_000
/** A message every 10 ms in turn for each set; s1 answers nothing from `outFrom` to `outTo` but catches up then. */
function traffic(outFrom: number, outTo: number, untilMs: number): MessageSample[] {
  const samples: MessageSample[] = []
  for (let dueMs = startMs; dueMs < untilMs; dueMs += 10) {
    const set = (dueMs / 10) % 2 === 0 ? 's1' : 's2'
    const late = set === 's1' && dueMs >= outFrom && dueMs < outTo
    const ackedMs = late ? outTo + 5 : dueMs + 5
    samples.push({ dueMs, homeSet: set, receiverSet: set, ackedMs, deliveredMs: ackedMs + 3 })
  }
  return samples
}

const kill: FaultRecord = {
  action: 'kill',
  target: 'leader of s1',
  nodes: ['s1-a'],
  sets: ['s1'],
  ledGroups: ['s1'],
  atMs: 6_000,
  undoneMs: 7_000
}

/** One message, acknowledged, that nobody has received. */
function oneAcknowledged(): HistoryRecorder {
  const history = new HistoryRecorder()
  history.add('members', 'ok', 'member', 's', {
    session: 'p2p/a/b',
    uid: 'b',
    device: 'd',
    from: 1
  })
  history.add('a#0', 'invoke', 'send', 'p2p/a/b', { uid: 'a', deviceId: 'd', clientMsgId: 1 })
  history.add('a#0', 'ok', 'send', 'p2p/a/b', { msgid: 1, duplicate: false })
  return history
}

function facts(change: Partial<RunFacts> = {}): RunFacts {
  const history = oneAcknowledged()
  const received = { uid: 'b', device: 'd', session: 'p2p/a/b', msgid: 1, clientMsgId: 1 }
  history.add('b/d', 'ok', 'receive', null, { ...received, sender: 'a', senderDevice: 'd' })
  return {
    scenario: parseScenario(
      'name: t\nproves: <b>nothing</b> much\nfaults: [{ do: kill, target: leader of s1, at: 1 }]\nexpect: { firstAckMs: 500, untouchedTimes: 1.1, errors: 2 }',
      't.yaml'
    ),
    seed: 1,
    startMs,
    endMs: 12_000,
    samples: traffic(6_000, 6_200, 12_000),
    errors: new Map([['TIMEOUT', 2]]),
    faults: [kill],
    outcomes: [],
    failStops: [],
    wrongOnline: [{ fault: 0, transfer: 's1-t1', ms: 700 }],
    leaderChanges: [
      { atMs: 900, group: 's1', node: 's1-a', term: 1 },
      { atMs: 6_150, group: 's1', node: 's1-b', term: 2 }
    ],
    epochChanges: [{ atMs: 6_300, epoch: 5 }],
    missing: [],
    judgement: history.judge(),
    ...change
  }
}

describe('percentiles', () => {
  it('are those of the nearest rank', () => {
    expect(percentiles([])).toEqual({ count: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 })
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)
    expect(percentiles(hundred)).toEqual({ count: 100, p50Ms: 50, p99Ms: 99, maxMs: 100 })
  })
})

describe('recovery', () => {
  it('counts from the fault to the first message that was due after it', () => {
    const { samples, leaderChanges, endMs } = facts()
    const [one, ...rest] = recoveries([kill], samples, leaderChanges, endMs)
    expect(rest).toEqual([])
    expect(one).toMatchObject({ fault: 0, set: 's1', electedMs: 150, firstAckMs: 205 })
    expect(one!.firstDeliveryMs).toBe(208)
    expect(one!.fullRateMs).toBe(705)
  })

  it('is unknown when the run ends first, and counts on over later faults', () => {
    const { samples, leaderChanges } = facts()
    const again = { ...kill, atMs: 6_100 }
    const [early] = recoveries([kill, again], samples, leaderChanges, 6_120)
    expect(early).toMatchObject({ electedMs: null, firstAckMs: null, fullRateMs: null })
    const [first, second] = recoveries([kill, again], samples, leaderChanges, 12_000)
    expect(first).toMatchObject({ electedMs: 150, firstAckMs: 205 })
    expect(second).toMatchObject({ electedMs: 50, firstAckMs: 105 })
  })

  it('compares sets that nothing touched with themselves', () => {
    const { samples } = facts()
    expect(untouched([kill], samples)).toMatchObject({ before: { p99Ms: 5 }, during: { p99Ms: 5 } })
    expect(untouched([{ ...kill, sets: ['s1', 's2'] }], samples)).toBeNull()
  })
})

describe('a report', () => {
  it('passes only when every check does', () => {
    const report = buildReport(facts())
    expect(report.checks.filter(({ ok }) => ok !== true)).toEqual([])
    expect(report).toMatchObject({ verdict: 'pass', scenario: 't', durationSeconds: 11 })
    expect(report.messages).toMatchObject({ lost: 0, duplicated: 0, errors: { TIMEOUT: 2 } })
    expect(report.seconds).toHaveLength(11)
    expect(report.seconds.reduce((sum, { acked }) => sum + acked, 0)).toBe(1_100)
    expect(report.recoveryMs.kill).toMatchObject({ firstAck: { count: 1, p50Ms: 205 } })
  })

  it.each([
    ['settled', { missing: ['b/d holds 0 of 1'] }],
    ['faults', { faults: [] }],
    ['errors', { errors: new Map([['TIMEOUT', 3]]) }],
    ['first-ack', { samples: traffic(6_000, 6_600, 12_000) }]
  ] as const)('fails by %s', (name, change) => {
    const report = buildReport(facts(change))
    expect(report.verdict).toBe('fail')
    expect(report.checks.filter(({ ok }) => ok === false).map(check => check.name)).toEqual([name])
  })

  const done = { action: 'moveSlots', text: '8 of 8 slots moved', ok: true }
  const refused = { action: 'moveSlots', text: 'CANCELLED, 0 of 8 slots moved', ok: false }
  const fullDisk = (stopped: boolean) => {
    return { action: 'diskFull' as const, node: 's1-a', stopped }
  }
  const expecting = (expect: object): Pick<RunFacts, 'scenario'> => {
    const { scenario } = facts()
    return { scenario: { ...scenario, expect: { ...scenario.expect, ...expect } } }
  }

  it.each([
    [true, 'operations', { outcomes: [done, refused] }],
    [false, 'operations', { outcomes: [refused] }],
    [false, 'operations', { ...expecting({ refusals: 0 }), outcomes: [done, refused] }],
    [true, 'operations', { ...expecting({ refusals: 1 }), outcomes: [done, refused] }],
    [true, 'operations', { ...expecting({ operations: 1 }), outcomes: [done, refused] }],
    [false, 'operations', { ...expecting({ operations: 2 }), outcomes: [done, refused] }],
    [false, 'operations', { ...expecting({ operations: 1 }), outcomes: [] }],
    [true, 'wrong-online', expecting({ wrongOnlineMs: 700 })],
    [false, 'wrong-online', expecting({ wrongOnlineMs: 699 })],
    [true, 'first-ack-median', expecting({ firstAckMedianMs: 205 })],
    [false, 'first-ack-median', expecting({ firstAckMedianMs: 204 })],
    [true, 'fail-stop', { failStops: [fullDisk(true)] }],
    [false, 'fail-stop', { failStops: [fullDisk(true), fullDisk(false)] }],
    [true, 'sealed', { ...expecting({ sealedMs: 90 }), sealedMs: [90, 20, 30] }],
    [false, 'sealed', { ...expecting({ sealedMs: 89 }), sealedMs: [90, 20, 30] }],
    ['unknown', 'sealed', { ...expecting({ sealedMs: 90 }), sealedMs: [] }],
    ['unknown', 'sealed', expecting({ sealedMs: 90 })],
    ['unknown', 'wrong-online', { ...expecting({ wrongOnlineMs: 700 }), wrongOnline: [] }]
  ] as const)('says %s of %s in case %#', (ok, name, change) => {
    const { checks } = buildReport(facts(change))
    expect(checks.find(check => check.name === name)?.ok).toBe(ok)
  })

  it('fails with the judges, and is unknown when there was nothing to compare', () => {
    const lossy = buildReport(facts({ judgement: oneAcknowledged().judge() }))
    expect(lossy).toMatchObject({ verdict: 'fail', messages: { lost: 1 } })
    const alone = buildReport(facts({ faults: [{ ...kill, sets: ['s1', 's2'] }] }))
    expect(alone.verdict).toBe('unknown')
  })

  it('is a page that holds everything and lets no text become markup', () => {
    const page = reportPage(buildReport(facts({ sealedMs: [41, 20] })))
    expect(page).toContain('slots sealed for')
    expect(page).toContain('&lt;b&gt;nothing&lt;/b&gt;')
    expect(page).not.toContain('<b>nothing')
    expect(page).not.toMatch(/(?:src|href)=|url\(|@import/)
    for (const word of ['first-ack', 'leader of s1', 'TIMEOUT 2 times', 's1-b, term 2']) {
      expect(page).toContain(word)
    }
  })
})
