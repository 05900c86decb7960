import { describe, expect, it } from 'vitest'
import { makeHistory } from '../../test/support/history-maker.ts'
import { type Judgement, type JudgeName, type JudgeOptions, judge, judgeNames } from './check.ts'
import { exampleLengthMax, examplesMax } from './findings.ts'
import { formatLine, type HistoryLine, parseHistory } from './history.ts'
import type { Owner, Receive, SendResult } from './values.ts'

const good = makeHistory({ seed: 7, operations: 1_500, users: 8, sessions: 8 })

function red(judgement: Judgement): JudgeName[] {
  return judgement.checks.filter(check => check.ok === false).map(check => check.name)
}

function undecided(judgement: Judgement): JudgeName[] {
  return judgement.checks.filter(check => check.ok === 'unknown').map(check => check.name)
}

/** The good history with one line changed, removed (undefined) or replaced by several. */
function changed(
  index: number,
  change: (line: HistoryLine) => HistoryLine | HistoryLine[] | undefined
): HistoryLine[] {
  const line = change(good[index]!)
  return good.toSpliced(index, 1, ...(line === undefined ? [] : [line].flat()))
}

function find(matches: (line: HistoryLine, index: number) => boolean): number {
  const index = good.findIndex(matches)
  expect(index).toBeGreaterThanOrEqual(0)
  return index
}

function findLast(matches: (line: HistoryLine, index: number) => boolean): number {
  const index = good.findLastIndex(matches)
  expect(index).toBeGreaterThanOrEqual(0)
  return index
}

function received(line: HistoryLine): Receive | undefined {
  return line.f === 'receive' ? (line.value as Receive) : undefined
}

/** Every receive of a device and session, as indexes. */
function inbox(device: string): number[] {
  const first = good[find(line => line.f === 'receive' && line.process === device)]!
  return good.flatMap((line, index) =>
    line.f === 'receive' && line.process === device && line.key === first.key ? [index] : []
  )
}

/**
 * Two receives of one inbox, next to each other, of messages that were both sent before the first
 * came.
 */
function neighbours(): [number, number] {
  const own = inbox('u0/phone')
  const position = own.findIndex((index, i) => {
    const next = received(good[own[i + 1]!]!)!
    return good.slice(0, index).some(line => {
      const sent = line.value as { clientMsgId?: number; uid?: string; deviceId?: string } | null
      return (
        line.f === 'send' &&
        line.type === 'invoke' &&
        sent?.clientMsgId === next.clientMsgId &&
        sent.uid === next.sender &&
        sent.deviceId === next.senderDevice
      )
    })
  })
  return [own[position]!, own[position + 1]!]
}

function at(...lines: (Omit<HistoryLine, 'time' | 'key'> & { key?: string })[]): HistoryLine[] {
  return lines.map((line, index) => ({ key: null, ...line, time: index }))
}

function seen(f: string, value: unknown, process = 'n1') {
  return { process, type: 'ok', f, value } as const
}

describe('judge', () => {
  it('passes histories of a correct cluster', { timeout: 60_000 }, () => {
    for (let seed = 1; seed <= 20; seed++) {
      const lines = makeHistory({ seed, operations: 1_000, users: 6, sessions: 6 })
      const judgement = judge(lines)
      expect(red(judgement), `seed ${seed}`).toEqual([])
      expect(judgement).toMatchObject({ verdict: 'pass', lines: lines.length, ignored: {} })
      for (const check of judgement.checks) expect(check.judged, check.name).toBeGreaterThan(0)
    }
  })

  it('says the same of a history that went through a file', () => {
    const bytes = Buffer.from(good.map(formatLine).join(''))
    expect(judge(parseHistory([bytes]))).toEqual(judge(good))
  })

  it('reports every judge in one order, but those left out', () => {
    expect(judge(good).checks.map(check => check.name)).toEqual(judgeNames)
    const without: JudgeName[] = ['loss', 'presence']
    expect(judge(good, { without }).checks.map(check => check.name)).toEqual(
      judgeNames.filter(name => name !== 'loss' && name !== 'presence')
    )
  })

  it('does not pass a history that holds nothing', () => {
    expect(judge([]).verdict).toBe('unknown')
    const faults = at({ process: 'nemesis', type: 'info', f: 'kill', value: { node: 'n1' } })
    expect(judge(faults).verdict).toBe('unknown')
  })

  it('counts lines that it does not know', () => {
    const judgement = judge(at(seen('recieve', {}), seen('recieve', {}), seen('gossip', {})))
    expect(judgement.ignored).toEqual({ recieve: 2, gossip: 1 })
  })

  it('answers unknown when a search costs too much', () => {
    const options: JudgeOptions = { stepsPerKey: 5 }
    expect(undecided(judge(good, options))).toEqual(['session-log', 'presence', 'sequences'])
    expect(judge(good, options).verdict).toBe('unknown')
    expect(undecided(judge(good, { stepsTotal: 5 }))).toContain('sequences')
  })

  it('bounds its examples', () => {
    const judgement = judge(good.filter(line => line.f !== 'receive'))
    const loss = judgement.checks.find(check => check.name === 'loss')!
    expect(loss.ok).toBe(false)
    expect(loss.examples).toHaveLength(examplesMax)
    for (const example of loss.examples) expect(example.length).toBeLessThan(exampleLengthMax)
  })
})

describe('exactly the judge concerned turns red', () => {
  it('loss: the last message of a device never came', () => {
    const acked = new Set(
      good
        .filter(line => line.f === 'send' && line.type === 'ok')
        .map(line => `${line.key} ${(line.value as SendResult).msgid}`)
    )
    const last = findLast(line => {
      const receive = received(line)
      return receive !== undefined && acked.has(`${receive.session} ${receive.msgid}`)
    })
    const judgement = judge(changed(last, () => undefined))
    expect(red(judgement)).toEqual(['loss'])
  })

  it('loss and contiguity: a message in the middle never came', () => {
    const [, second] = inbox('u0/phone')
    expect(red(judge(changed(second!, () => undefined)))).toEqual(['loss', 'contiguity'])
  })

  it('duplicates: a device got a message again', () => {
    const [first] = inbox('u0/phone')
    expect(red(judge(changed(first!, line => [line, line])))).toEqual(['duplicates'])
    const last = good.at(-1)!
    expect(red(judge([...good, { ...good[first!]!, time: last.time }]))).toEqual(['duplicates'])
  })

  it('order: a device got two messages the wrong way round', () => {
    const [i, j] = neighbours()
    const lines = [...good]
    lines[i] = { ...good[j]!, time: good[i]!.time }
    lines[j] = { ...good[i]!, time: good[j]!.time }
    expect(red(judge(lines))).toEqual(['order'])
  })

  it('contiguity: a gap where nothing acknowledged is lost', () => {
    const member = { session: 'p2p/a/b', uid: 'b', device: 'd' }
    const receive = { ...member, sender: 'a', senderDevice: 'd', clientMsgId: 1 }
    const lines = at(
      {
        ...seen('send', { uid: 'a', deviceId: 'd', clientMsgId: 1 }),
        type: 'invoke',
        key: 'p2p/a/b'
      },
      seen('member', member),
      seen('receive', { ...receive, msgid: 2 }, 'b/d')
    )
    expect(red(judge(lines))).toEqual([])
    const declared = lines.with(1, { ...lines[1]!, value: { ...member, from: 1 } })
    expect(red(judge(declared))).toEqual(['contiguity'])
  })

  it('reassigned: two messages exchanged their msgids at one device', () => {
    const [i, j] = neighbours()
    const one = received(good[i]!)!
    const other = received(good[j]!)!
    const lines = [...good]
    lines[i] = { ...good[i]!, value: { ...other, msgid: one.msgid } }
    lines[j] = { ...good[j]!, value: { ...one, msgid: other.msgid } }
    expect(red(judge(lines))).toEqual(['reassigned'])
  })

  it('phantoms: a message that nobody sent, or whose sends all failed', () => {
    const receive = { uid: 'b', device: 'd', session: 'p2p/a/b', msgid: 1, clientMsgId: 1 }
    const sender = { sender: 'a', senderDevice: 'd' }
    const send = {
      ...seen('send', { uid: 'a', deviceId: 'd', clientMsgId: 1 }, 'a'),
      key: 'p2p/a/b'
    }
    const came = seen('receive', { ...receive, ...sender }, 'b')
    const invoked = { ...send, type: 'invoke' } as const
    const failed = { ...send, type: 'fail', value: null } as const
    expect(red(judge(at(invoked, came, { ...failed, type: 'info' })))).toEqual([])
    expect(red(judge(at(came, invoked)))).toEqual(['phantoms'])
    expect(red(judge(at(invoked, failed, came)))).toEqual(['phantoms'])
    expect(red(judge(at(invoked, came, failed)))).toEqual(['phantoms'])
    expect(red(judge(at(invoked, failed, invoked, came)))).toEqual([])
    expect(undecided(judge(at(came)))).toContain('phantoms')
  })

  it('session-log: a read of latest that is stale, or ahead of every send', () => {
    const last = findLast(line => line.f === 'latest' && line.type === 'ok')
    for (const msgid of [0, 1_000_000]) {
      const lines = changed(last, line => ({ ...line, value: { msgid } }))
      expect(red(judge(lines))).toEqual(['session-log'])
    }
  })

  it('session-log and reassigned: a second msgid for one message', () => {
    const duplicate = find(
      line => line.f === 'send' && line.type === 'ok' && (line.value as SendResult).duplicate
    )
    const again = changed(duplicate, line => ({
      ...line,
      value: { msgid: 1_000_000, duplicate: true }
    }))
    expect(red(judge(again))).toEqual(['loss', 'reassigned', 'session-log'])
  })

  it('presence: a lookup that misses a route', () => {
    const lookup = findLast(
      line => line.f === 'lookup' && line.type === 'ok' && JSON.stringify(line.value).includes('#')
    )
    const lines = changed(lookup, line => ({ ...line, value: { routes: [] } }))
    expect(red(judge(lines))).toEqual(['presence'])
  })

  it('sequences: a number handed out twice', () => {
    const taken = good.filter(line => line.f === 'sequence.next' && line.type === 'ok')
    const last = findLast(line => line.f === 'sequence.next' && line.type === 'ok')
    const lines = changed(last, line => ({ ...line, value: taken[0]!.value }))
    expect(red(judge(lines))).toEqual(['sequences'])
  })

  it('ownership: a second owner', () => {
    const last = findLast(line => line.f === 'owner')
    const value = good[last]!.value as Owner
    const second = { slot: value.slot, set: 'set9', epoch: value.epoch }
    expect(red(judge(changed(last, line => [line, { ...line, value: second }])))).toEqual([
      'ownership'
    ])
  })
})

describe('ownership', () => {
  const owner = (set: string, epoch: number, released?: boolean) =>
    seen('owner', { slot: 3, set, epoch, released })
  const ok = (...lines: ReturnType<typeof owner>[]) => red(judge(at(...lines))).length === 0

  it('allows sightings, handovers and another slot', () => {
    expect(ok(owner('a', 1), owner('a', 1), owner('b', 2), owner('b', 2))).toBe(true)
    expect(ok(owner('a', 1, false), owner('a', 1), owner('a', 1, true), owner('b', 2))).toBe(true)
    expect(ok(owner('a', 1), seen('owner', { slot: 4, set: 'b', epoch: 1 }))).toBe(true)
    expect(ok(owner('a', 1), owner('b', 2), owner('a', 1, true))).toBe(true)
  })

  it('refuses an owner under an old epoch, and two under one', () => {
    expect(ok(owner('a', 1), owner('b', 2), owner('a', 1))).toBe(false)
    expect(ok(owner('a', 2), owner('a', 1))).toBe(false)
    expect(ok(owner('a', 1), owner('b', 1))).toBe(false)
  })

  it('refuses a new owner before the old one has released', () => {
    expect(ok(owner('a', 1, false), owner('b', 2))).toBe(false)
    expect(ok(owner('a', 1, false), owner('a', 1), owner('b', 2, false))).toBe(false)
  })
})

describe('leaders, terms and epochs', () => {
  const leader = (process: string, term: number, name: string, group = 'g') =>
    seen('leader', { group, term, leader: name }, process)
  const epoch = (process: string, number: number, hash?: string) =>
    seen('epoch', { epoch: number, hash }, process)

  it('one leader per group and term', () => {
    expect(red(judge(at(leader('n1', 1, 'r1'), leader('n2', 1, 'r1'))))).toEqual([])
    expect(red(judge(at(leader('n1', 1, 'r1'), leader('n2', 1, 'r2', 'h'))))).toEqual([])
    expect(red(judge(at(leader('n1', 1, 'r1'), leader('n2', 1, 'r2'))))).toEqual(['leaders'])
  })

  it('no process sees a term go back, but processes may lag', () => {
    expect(red(judge(at(leader('n1', 5, 'r1'), leader('n2', 3, 'r2'))))).toEqual([])
    expect(red(judge(at(leader('n1', 5, 'r1'), leader('n1', 3, 'r2'))))).toEqual(['terms'])
  })

  it('no process sees an epoch go back, and an epoch has one content', () => {
    expect(red(judge(at(epoch('n1', 5, 'x'), epoch('n2', 3, 'y'), epoch('n2', 5, 'x'))))).toEqual(
      []
    )
    expect(red(judge(at(epoch('n1', 5), epoch('n1', 4))))).toEqual(['epochs'])
    expect(red(judge(at(epoch('n1', 5, 'x'), epoch('n2', 5, 'y'))))).toEqual(['epochs'])
  })
})

describe('who is expected to receive', () => {
  const acked = (session: string, msgid: number, process = 'a') => [
    {
      ...seen('send', { uid: 'a', deviceId: 'd', clientMsgId: msgid }, process),
      type: 'invoke',
      key: session
    } as const,
    { ...seen('send', { msgid, duplicate: false }, process), key: session }
  ]
  const receive = (session: string, msgid: number, device: string, uid?: string) =>
    seen('receive', { uid, device, session, msgid, clientMsgId: msgid, sender: 'a' }, device)
  const member = (session: string, uid: string, device: string, more = {}) =>
    seen('member', { session, uid, device, ...more })
  const p2p = 'p2p/a/b%2Fc'

  it('without declarations: every device seen with one of the two users', () => {
    const all = [receive(p2p, 1, 'd', 'a'), receive(p2p, 1, 'e', 'b/c')]
    expect(red(judge(at(...acked(p2p, 1), ...all)))).toEqual([])
    expect(red(judge(at(...acked(p2p, 1), all[0]!)))).toEqual([])
    expect(red(judge(at(...acked(p2p, 1), all[1]!)))).toEqual(['loss'])
    const elsewhere = receive('p2p/b%2Fc/z', 9, 'f', 'b/c')
    expect(red(judge(at(...acked(p2p, 1), ...all, elsewhere), { without: ['phantoms'] }))).toEqual([
      'loss'
    ])
  })

  it('with declarations: exactly the declared devices, in their range', () => {
    const group = 'group/7'
    const two = [...acked(group, 1), ...acked(group, 2)]
    const e = member(group, 'b', 'e')
    const judged = (...lines: ReturnType<typeof seen>[]) => red(judge(at(e, ...two, ...lines)))
    expect(judged(receive(group, 1, 'e'), receive(group, 2, 'e'))).toEqual([])
    expect(judged(receive(group, 1, 'e'))).toEqual(['loss'])
    expect(
      red(judge(at(member(group, 'b', 'e', { from: 2 }), ...two, receive(group, 2, 'e'))))
    ).toEqual([])
    expect(
      red(judge(at(member(group, 'b', 'e', { until: 1 }), ...two, receive(group, 1, 'e'))))
    ).toEqual([])
    expect(red(judge(at(member(group, 'b', 'e', { until: 1 }), ...two)))).toEqual(['loss'])
  })

  it('unknown when deliveries are not recorded, or nobody is known to expect them', () => {
    expect(undecided(judge(at(...acked(p2p, 1))))).toEqual(['loss'])
    const other = member(p2p, 'a', 'd')
    expect(undecided(judge(at(other, ...acked('group/7', 1))))).toEqual(['loss'])
  })

  it('tells the user of a device by its name only if that is clear', () => {
    const session = 'group/7'
    const members = [member(session, 'b', 'e'), member(session, 'c', 'e')]
    const lines = [...acked(session, 1), receive(session, 1, 'e')]
    expect(() => judge(at(...lines))).toThrow(/line 3/)
    expect(() => judge(at(...members, ...lines))).toThrow(/line 5/)
    expect(red(judge(at(members[0]!, ...lines)))).toEqual([])
  })

  it('tells devices of one name apart by their users', () => {
    const both = [receive(p2p, 1, 'd', 'a'), receive(p2p, 1, 'd', 'b/c')]
    expect(red(judge(at(...acked(p2p, 1), ...both)))).toEqual([])
  })
})

describe('a history that breaks the format', () => {
  const send = {
    ...seen('send', { uid: 'a', deviceId: 'd', clientMsgId: 1 }),
    type: 'invoke',
    key: 's'
  } as const
  const done = { ...seen('send', { msgid: 1, duplicate: false }), key: 's' }
  const invalid = (line: number) =>
    expect.objectContaining({ code: 'HISTORY_INVALID', facts: { line } })

  it.each([
    ['two operations of one process at a time', [send, send]],
    ['an end without an invocation', [send, done, done]],
    ['an end of another operation', [send, { ...done, f: 'latest' }]],
    ['an end on another key', [send, { ...done, key: 't' }]],
    ['an operation without a key', [seen('epoch', { epoch: 1 }), seen('latest', null)]],
    [
      'an observation that is not ok',
      [send, { ...seen('epoch', { epoch: 1 }), type: 'info' as const }]
    ],
    ['a result that is no object', [send, { ...done, value: 7 }]],
    ['a result without msgid', [send, { ...done, value: { duplicate: false } }]],
    ['a msgid of 0', [send, { ...done, value: { msgid: 0, duplicate: false } }]],
    ['a duplicate that is no boolean', [send, { ...done, value: { msgid: 1, duplicate: 'no' } }]],
    [
      'a list that is none',
      [
        { ...send, f: 'lookup' },
        { ...done, f: 'lookup', value: { routes: 1 } }
      ]
    ],
    [
      'a null route',
      [
        { ...send, f: 'lookup' },
        { ...done, f: 'lookup', value: { routes: [null] } }
      ]
    ],
    [
      'a number that overflows',
      [
        { ...send, f: 'sequence.next' },
        { ...done, f: 'sequence.next', value: { first: Number.MAX_SAFE_INTEGER, count: 2 } }
      ]
    ],
    ['a slot as text', [send, seen('owner', { slot: '3', set: 'a', epoch: 1 })]],
    ['a from of 0', [send, seen('member', { session: 's', uid: 'a', device: 'd', from: 0 })]]
  ] as const)('is refused with the line: %s', (_, lines) => {
    expect(() => judge(at(...(lines as unknown as Parameters<typeof at>)))).toThrow(
      invalid(lines.length)
    )
  })

  it('is refused when time goes back', () => {
    const lines = at(send, done)
    expect(() => judge([{ ...lines[0]!, time: 9 }, lines[1]!])).toThrow(invalid(2))
  })
})
