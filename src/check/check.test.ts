import { describe, expect, it } from 'vitest'
import { at, red, seen, undecided } from '../../test/support/history-lines.ts'
import { makeHistory } from '../../test/support/history-maker.ts'
import { type JudgeName, type JudgeOptions, judge, judgeNames } from './check.ts'
import { exampleLengthMax, examplesMax } from './findings.ts'
import { formatLine, type HistoryLine, parseHistory } from './history.ts'
import { ReplicatedState } from './replicated-state.ts'
import type { Owner, Receive, SendResult } from './values.ts'

const good = makeHistory({ seed: 7, operations: 1_500, users: 8, sessions: 8 })

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

/** a/d sends a message to b. */
function sendOf(clientMsgId: number) {
  const value = { uid: 'a', deviceId: 'd', clientMsgId }
  return { process: 'a/d', type: 'invoke', f: 'send', key: 'p2p/a/b', value } as const
}

/** b/d gets a message of a/d. */
function receiveOf(clientMsgId: number, msgid: number) {
  const from = { sender: 'a', senderDevice: 'd', clientMsgId }
  const value = { uid: 'b', device: 'd', session: 'p2p/a/b', msgid, ...from }
  return { process: 'b/d', type: 'ok', f: 'receive', value } as const
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

  it('takes a few steps an operation for one long session', { timeout: 60_000 }, () => {
    const operations = 20_000
    const lines = makeHistory({ seed: 1, operations, users: 2, sessions: 1 })
    const without: JudgeName[] = ['presence']
    expect(undecided(judge(lines, { without, stepsPerKey: 4 * operations }))).toEqual([])
  })

  it('searches a long history for longer, unless it is told how long', () => {
    const long = makeHistory({ seed: 1, operations: 2_000, users: 4, sessions: 4 })
    expect(undecided(judge(long))).toEqual([])
    expect(undecided(judge(long, { stepsTotal: 500 }))).not.toEqual([])
    const state = new ReplicatedState({ stepsPerKey: 1_000, stepsTotal: 1 })
    for (let i = 0; i < 100; i++) {
      const sent = {
        call: 2 * i + 1,
        return: 2 * i + 2,
        message: i,
        msgid: i + 1,
        duplicate: false
      }
      state.send('s', sent)
    }
    state.allow(1_000)
    expect(state.sessionsCheck(() => new Map()).ok).toBe(true)
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

  it('refuses an operation without a key', () => {
    const { key: _, ...unkeyed } = sendOf(2)
    expect(() => judge(at(sendOf(1), { ...unkeyed, process: 'a/e' }))).toThrow(
      expect.objectContaining({ code: 'HISTORY_INVALID', facts: { line: 2 } })
    )
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
    const send = (deviceId: string) => {
      const value = { uid: 'a', deviceId, clientMsgId: 1 }
      return { ...seen('send', value, `a/${deviceId}`), type: 'invoke', key: 'p2p/a/b' } as const
    }
    const lines = at(
      send('d'),
      seen('member', member),
      send('e'),
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

  it('reassigned: the msgid of one message came with another', () => {
    const [first, second] = [sendOf(1), sendOf(2)]
    const acked = { ...first, type: 'ok', value: { msgid: 1, duplicate: false } } as const
    const judgement = judge(at(first, acked, second, receiveOf(1, 1)), { without: ['loss'] })
    expect(red(judgement)).toEqual([])
    const other = judge(at(first, acked, second, receiveOf(2, 1)), { without: ['loss'] })
    expect(red(other)).toEqual(['reassigned'])
    expect(other.checks.find(check => check.name === 'reassigned')!.examples[0]).toContain(
      'message 2 of "a/d", but that msgid was given to message 1 of "a/d"'
    )
  })

  it('reassigned: not where two devices of the sender may be meant', () => {
    const tablet = { uid: 'a', deviceId: 'e', clientMsgId: 1 }
    const other = { ...sendOf(1), process: 'a/e', value: tablet }
    const ok = (send: typeof other, msgid: number) =>
      ({ ...send, type: 'ok', value: { msgid, duplicate: false } }) as const
    const { senderDevice: _, ...unnamed } = receiveOf(1, 1).value
    const judgement = judge(
      at(sendOf(1), ok(sendOf(1), 1), other, ok(other, 2), {
        ...receiveOf(1, 1),
        value: unnamed
      }),
      { without: ['loss'] }
    )
    expect(red(judgement)).toEqual([])
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
    const twice = judge(at(came, { ...came, process: 'b2' }, invoked))
    expect(twice.checks.find(check => check.name === 'phantoms')!.examples[0]).toMatch(/^line 1:/)
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

  it('session-log: a message that was appended again', () => {
    const ok = (duplicate: boolean) =>
      ({ ...sendOf(1), type: 'ok', value: { msgid: 1, duplicate } }) as const
    expect(red(judge(at(sendOf(1), ok(false), sendOf(1), ok(true))))).toEqual([])
    expect(red(judge(at(sendOf(1), ok(false), sendOf(1), ok(false))))).toEqual(['session-log'])
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
