import { describe, expect, it } from 'vitest'
import { facts, kill, oneAcknowledged, traffic } from '../../test/support/drill-facts.ts'
import { percentiles, recoveries, untouched } from './recovery.ts'
import { buildReport } from './report.ts'
import type { RunFacts } from './report-checks.ts'

describe('percentiles', () => {
  it('are those of the nearest rank', () => {
    expect(percentiles([])).toEqual({ count: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 })
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)
    expect(percentiles(hundred)).toEqual({ count: 100, p50Ms: 50, p99Ms: 99, maxMs: 100 })
  })
})

describe('recovery', () => {
  it('counts from the fault to the first message that was due after it', () => {
    const { samples, endMs } = facts()
    const [one, ...rest] = recoveries([kill], samples, facts(), endMs)
    expect(rest).toEqual([])
    expect(one).toMatchObject({ fault: 0, set: 's1', electedMs: 150, firstAckMs: 205 })
    expect(one).toMatchObject({ detectedMs: 110, convergedMs: 180 })
    expect(one!.firstDeliveryMs).toBe(208)
    expect(one!.fullRateMs).toBe(705)
  })

  it('is unknown when the run ends first, and counts on over later faults', () => {
    const { samples } = facts()
    const again = { ...kill, atMs: 6_100 }
    const [early] = recoveries([kill, again], samples, facts(), 6_120)
    expect(early).toMatchObject({ electedMs: null, firstAckMs: null, fullRateMs: null })
    const [first, second] = recoveries([kill, again], samples, facts(), 12_000)
    expect(first).toMatchObject({ electedMs: 150, firstAckMs: 205 })
    expect(second).toMatchObject({ electedMs: 50, firstAckMs: 105 })
  })

  it('counts until somebody notices, and until all that are left follow another leader', () => {
    const { samples, followings, leaderChanges } = facts()
    const led = (nodes: readonly string[], some = followings) => {
      const [one] = recoveries(
        [{ ...kill, nodes }],
        samples,
        { leaderChanges, followings: some },
        12_000
      )
      return [one!.detectedMs, one!.convergedMs]
    }
    expect(led(['s1-a'])).toEqual([110, 180])
    // One that was hit comes back when it may.
    expect(led([])).toEqual([110, 1_500])
    expect(led(['s1-a', 's1-c'])).toEqual([150, 150])
    // A process that has just begun follows nobody, and misses nobody.
    const young = { ...followings[0]!, node: 's1-c', atMs: 6_010, led: false }
    expect(led(['s1-a'], [young, ...followings])).toEqual([110, 180])
    const stays = followings.filter(({ node, term }) => node !== 's1-c' || term === 1)
    expect(led(['s1-a'], stays)).toEqual([110, null])
  })

  it('is not that of the next fault, once it is undone', () => {
    const { samples } = facts()
    const over = { ...kill, undoneMs: 6_050 }
    const later = { ...kill, atMs: 6_100 }
    const elected = (...faults: (typeof kill)[]) =>
      recoveries(faults, samples, facts(), 12_000).map(({ electedMs }) => electedMs)
    expect(elected(over, later)).toEqual([null, 50])
    expect(elected(over, { ...later, ledGroups: [] })).toEqual([150, null])
  })

  it('is found among a million messages under a hundred faults', () => {
    const samples = traffic(6_000, 6_200, 5_000_000)
    const faults = Array.from({ length: 100 }, (_, i) => ({ ...kill, atMs: 6_000 + i * 40_000 }))
    const leadership = { leaderChanges: [], followings: [] }
    const found = recoveries(faults, [...samples, ...samples], leadership, 5_000_000)
    expect(found).toHaveLength(100)
    expect(found[0]).toMatchObject({ firstAckMs: 205, fullRateMs: 705 })
    expect(found[99]).toMatchObject({ firstAckMs: 25, fullRateMs: 525 })
  })

  it('compares sets that nothing touched with themselves', () => {
    const { samples } = facts()
    expect(untouched([kill], samples)).toMatchObject({ before: { p99Ms: 5 }, during: { p99Ms: 5 } })
    expect(untouched([{ ...kill, sets: ['s1', 's2'] }], samples)).toBeNull()
  })

  it('tells a set that is down from one that starts again', () => {
    const { samples } = facts()
    const [fault, undoneMs] = [{ ...kill, undoneMs: 8_000 }, 8_000]
    const slower = samples.map(one => {
      return one.dueMs < undoneMs ? one : { ...one, ackedMs: one.dueMs + 70 }
    })
    const p99s = { before: { p99Ms: 5 }, during: { p99Ms: 5 }, after: { p99Ms: 70 } }
    expect(untouched([fault], slower)).toMatchObject(p99s)
    const never = untouched([{ ...kill, undoneMs: 0 }], slower)
    expect(never).toMatchObject({ during: { p99Ms: 70 }, after: { count: 0 } })
  })

  it.each(['senderSet', 'homeSet', 'receiverSet'] as const)(
    'counts a message as touched whose %s was',
    which => {
      const { samples } = facts()
      const slow = samples
        .filter(({ homeSet }) => homeSet === 's2')
        .map(one => ({ ...one, [which]: 's1', ackedMs: one.dueMs + 9_000 }))
      const found = untouched([kill], [...samples, ...slow])
      expect(found).toMatchObject({ before: { p99Ms: 5 }, during: { p99Ms: 5 } })
    }
  )
})

/** Messages of the set that are due from then on get no answer. */
function mute(set: string, fromMs: number) {
  return traffic(6_000, 6_200, 12_000).map(one => {
    return one.homeSet === set && one.dueMs >= fromMs ? { ...one, ackedMs: 0 } : one
  })
}

describe('a report', () => {
  const { scenario } = facts()
  const twoLines = { ...scenario, faults: [...scenario.faults, ...scenario.faults] }
  const operation = { ...scenario.faults[0]!, do: 'moveSlots' as const }
  const withOperation = { ...scenario, faults: [...scenario.faults, operation] }

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
    ['serving', { healedMs: 6_100, samples: mute('s2', 11_900) }],
    ['first-ack', { healedMs: 11_985, samples: mute('s1', 6_000) }],
    ['errors', { errors: new Map([['TIMEOUT', 3]]) }],
    ['carried-out', { failures: ['kill: NOT_RUNNING, node s1-a does not run'] }],
    ['first-ack', { samples: traffic(6_000, 6_600, 12_000) }]
  ] as const)('fails by %s', (name, change) => {
    const report = buildReport(facts(change))
    expect(report.verdict).toBe('fail')
    expect(report.checks.filter(({ ok }) => ok === false).map(check => check.name)).toEqual([name])
  })

  it.each([
    ['serving', { healedMs: 12_000 }],
    ['operations', { scenario: withOperation, faults: [kill, { ...kill, line: 1 }] }],
    ['faults', { scenario: twoLines }],
    ['faults', { scenario: twoLines, faults: [kill, { ...kill, line: 1, inForceMs: 0 }] }]
  ] as const)('cannot decide %s', (name, change) => {
    const report = buildReport(facts(change))
    expect(report.verdict).toBe('unknown')
    expect(report.checks.filter(({ ok }) => ok !== true).map(check => check.name)).toEqual([name])
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

  /** So many messages of the set that nothing touches get no answer from the fault on. */
  const unanswered = (count: number) => {
    const samples = traffic(6_000, 6_200, 12_000)
    const due = samples.filter(({ dueMs, homeSet }) => dueMs > 6_000 && homeSet === 's2')
    for (const one of due.slice(0, count)) one.ackedMs = 0
    return samples
  }

  const sight = (node: string, atMs: number) => {
    const memory = [
      { atMs: 8_000, rssBytes: 2_000_000 },
      { atMs: 11_000, rssBytes: 3_000_000 }
    ]
    const epochs = [
      { atMs: 1_000, epoch: 4, beforeMs: 1_000 },
      { atMs, epoch: 5, beforeMs: atMs - 100 }
    ]
    return { node, pid: 1, epochs, memory, lastMs: 11_000 }
  }
  const spread = {
    epochChanges: [
      { atMs: 1_000, epoch: 4 },
      { atMs: 6_300, epoch: 5 }
    ],
    sights: [sight('a', 6_300), sight('b', 6_700)]
  }

  it.each([
    [true, 'operations', { outcomes: [done, refused] }],
    [false, 'operations', { outcomes: [refused] }],
    [false, 'operations', { ...expecting({ refusals: 0 }), outcomes: [done, refused] }],
    [true, 'operations', { ...expecting({ refusals: 1 }), outcomes: [done, refused] }],
    [true, 'operations', { ...expecting({ operations: 1 }), outcomes: [done, refused] }],
    [false, 'operations', { ...expecting({ operations: 2 }), outcomes: [done, refused] }],
    [false, 'operations', { ...expecting({ operations: 1 }), outcomes: [] }],
    [true, 'users-back', expecting({ usersBackMs: 300 })],
    [false, 'users-back', expecting({ usersBackMs: 299 })],
    ['unknown', 'users-back', { ...expecting({ usersBackMs: 300 }), usersBack: [] }],
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
    [true, 'moves', { ...expecting({ slotsMoved: 3 }), sealedMs: [90, 20, 30] }],
    [false, 'moves', { ...expecting({ slotsMoved: 4 }), sealedMs: [90, 20, 30] }],
    ['unknown', 'moves', expecting({ slotsMoved: 1 })],
    [true, 'untouched', expecting({ untouchedTimes: 1 })],
    [false, 'untouched', { ...expecting({ untouchedTimes: 1 }), samples: unanswered(1) }],
    [false, 'untouched', { ...expecting({ untouchedTimes: 1 }), samples: unanswered(10_000) }],
    [true, 'during', expecting({ duringTimes: 37 })],
    [false, 'during', expecting({ duringTimes: 36 })],
    ['unknown', 'during', { ...expecting({ duringTimes: 40 }), faults: [{ ...kill, atMs: 0 }] }],
    [true, 'converged', { ...expecting({ convergeMs: 400 }), ...spread }],
    [false, 'converged', { ...expecting({ convergeMs: 399 }), ...spread }],
    ['unknown', 'converged', { ...expecting({ convergeMs: 399 }), sights: spread.sights }],
    [true, 'memory', { ...expecting({ memoryTimes: 1.5 }), ...spread }],
    [false, 'memory', { ...expecting({ memoryTimes: 1.4 }), ...spread }],
    ['unknown', 'memory', expecting({ memoryTimes: 1.4 })],
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

  it('says of each second how long messages of each set waited, and which never were acknowledged', () => {
    const samples = traffic(6_000, 6_200, 12_000)
    samples.find(({ dueMs, homeSet }) => dueMs > 8_000 && homeSet === 's2')!.ackedMs = 0
    const { seconds } = buildReport(facts({ samples }))
    expect(seconds[4]).toMatchObject({ ackP99Ms: 5, slowestMs: { s1: 5, s2: 5 } })
    expect(seconds[5]).toMatchObject({ ackP99Ms: 185, slowestMs: { s1: 205, s2: 5 } })
    expect(seconds[5]).toMatchObject({ sent: 100, deliveryP99Ms: 188 })
    expect(seconds[7]!.slowestMs).toEqual({ s1: 5, s2: null })
    expect(seconds[7]!.slowestAcrossMs).toBeUndefined()
  })

  it('does not blame a set for what users of another wait for', () => {
    const samples = traffic(6_000, 6_200, 12_000)
    const [late, lost] = samples.filter(({ dueMs, homeSet }) => dueMs > 8_000 && homeSet === 's2')
    for (const one of [late!, lost!]) Object.assign(one, { senderSet: 's1' })
    Object.assign(late!, { ackedMs: late!.dueMs + 900 })
    expect(buildReport(facts({ samples })).seconds[7]).toMatchObject({
      slowestMs: { s2: 5 },
      slowestAcrossMs: 900
    })
    lost!.ackedMs = 0
    const { seconds } = buildReport(facts({ samples }))
    expect(seconds[7]).toMatchObject({ slowestMs: { s2: 5 }, slowestAcrossMs: null })
  })

  it('names the slowest message of each time and way, with its path', () => {
    const samples = traffic(6_000, 6_200, 12_000)
    const never = samples.find(({ dueMs, homeSet }) => dueMs > 9_000 && homeSet === 's2')!
    never.deliveredMs = 0
    const { worst } = buildReport(facts({ samples }))
    expect(worst[0]).toMatchObject({
      number: never.number,
      ackMs: 5,
      deliveryMs: null,
      path: ['a at s1-t1', 'set s2', 'b'],
      faults: []
    })
    expect(worst[1]).toEqual({
      number: 501,
      session: 'p2p/a/b',
      due: 5,
      ackMs: 205,
      deliveryMs: 208,
      path: ['a at s1-t1', 'set s1 (led by s1-a, then s1-b)', 'b'],
      faults: [0]
    })
    expect(worst.slice(2).every(({ due }) => Math.abs(due - 5) > 1)).toBe(true)
  })
})
