import { describe, expect, it } from 'vitest'
import { explainable, type Trial } from '../../test/support/brute-force.ts'
import { Prng } from '../base/prng.ts'
import { linearize } from './linearizability.ts'
import { type PresenceInput, preparePresence } from './presence.ts'
import { prepareSequence } from './sequence.ts'
import { type LatestRecord, prepareSessionLog, type SendRecord } from './session-log.ts'
import type { SequenceResult } from './values.ts'

const never = Number.POSITIVE_INFINITY
const budget = 1_000_000
const runs = 5_000

/** @param received [message, msgid, line] each. */
function sessionLog(
  sends: readonly SendRecord[],
  reads: readonly LatestRecord[] = [],
  received: readonly (readonly [number, number, number])[] = []
) {
  const receipts = new Map(received.map(([message, msgid, line]) => [message, { msgid, line }]))
  const prepared = prepareSessionLog(sends, reads, () => receipts)
  if ('refused' in prepared) return 'violation'
  return linearize(prepared.operations, prepared.model, budget).result
}

function presence(operations: readonly Trial<PresenceInput>[]) {
  const prepared = preparePresence(operations)
  return linearize(prepared.operations, prepared.model, budget).result
}

function sequence(operations: readonly Trial<SequenceResult>[]) {
  const prepared = prepareSequence(operations)
  return linearize(prepared.operations, prepared.model, budget).result
}

/** @param msgid 0 = unknown outcome. */
function send(call: number, end: number, message: number, msgid: number, duplicate = false) {
  return { call, return: end, message, msgid, duplicate }
}

function latest(call: number, end: number, msgid: number) {
  return { call, return: end, msgid }
}

describe('a session as a log', () => {
  it('accepts appends, repeats and reads in sequence', () => {
    const sends = [send(1, 2, 0, 1), send(3, 4, 1, 2), send(5, 6, 0, 1, true)]
    expect(sessionLog(sends, [latest(7, 8, 2)])).toBe('linearizable')
  })

  it('accepts concurrent appends in either order', () => {
    expect(sessionLog([send(1, 4, 0, 2), send(2, 3, 1, 1)])).toBe('linearizable')
    expect(sessionLog([send(1, 4, 0, 1), send(2, 3, 1, 2)])).toBe('linearizable')
  })

  it('accepts a send that met its own earlier attempt', () => {
    expect(sessionLog([send(1, 2, 0, 1, true)])).toBe('linearizable')
  })

  it('accepts an unknown outcome that took effect, late, or not at all', () => {
    const unknown = send(1, never, 0, 0)
    expect(sessionLog([unknown], [latest(3, 4, 1)])).toBe('linearizable')
    expect(sessionLog([unknown], [latest(3, 4, 0)])).toBe('linearizable')
    expect(sessionLog([unknown], [latest(3, 4, 0), latest(5, 6, 1)])).toBe('linearizable')
    expect(sessionLog([unknown, send(5, 6, 1, 1), send(7, 8, 0, 2)])).toBe('linearizable')
    expect(sessionLog([unknown, send(5, 6, 1, 2), send(7, 8, 0, 1, true)])).toBe('linearizable')
  })

  it('refuses a stale read', () => {
    expect(sessionLog([send(1, 2, 0, 1)], [latest(3, 4, 0)])).toBe('violation')
  })

  it('refuses a lost update: two appends, the second as if the first were not there', () => {
    expect(sessionLog([send(1, 2, 0, 1), send(3, 4, 1, 1)])).toBe('violation')
    expect(
      sessionLog([send(1, 2, 0, 1), send(5, 6, 1, 2)], [latest(3, 4, 1), latest(7, 8, 1)])
    ).toBe('violation')
  })

  it('refuses a double append', () => {
    expect(sessionLog([send(1, 2, 0, 1), send(3, 4, 0, 2)])).toBe('violation')
    expect(sessionLog([send(1, 2, 0, 1), send(3, 4, 0, 1, false)])).toBe('violation')
    expect(sessionLog([send(1, never, 0, 0), send(3, 4, 0, 1, true)], [latest(5, 6, 2)])).toBe(
      'violation'
    )
  })

  it('refuses a read below what somebody has received, whatever became of its send', () => {
    const unknown = send(1, never, 0, 0)
    expect(sessionLog([unknown], [latest(6, 7, 0)], [[0, 1, 5]])).toBe('violation')
    expect(sessionLog([unknown], [latest(6, 7, 1)], [[0, 1, 5]])).toBe('linearizable')
    expect(sessionLog([unknown], [latest(4, 7, 0)], [[0, 1, 5]])).toBe('linearizable')
    const late = send(1, 9, 0, 1)
    expect(sessionLog([late], [latest(6, 7, 0)], [[0, 1, 5]])).toBe('violation')
    expect(sessionLog([late], [latest(3, 4, 0)], [[0, 1, 5]])).toBe('linearizable')
  })

  it('holds a send of unknown outcome to the msgid that was received, and to when', () => {
    const unknown = send(5, never, 1, 0)
    // It cannot have come before what was acknowledged first.
    expect(sessionLog([send(1, 2, 0, 2), unknown], [], [[1, 1, 7]])).toBe('violation')
    expect(sessionLog([send(1, 2, 0, 1), unknown], [], [[1, 2, 7]])).toBe('linearizable')
    // Nor after what was sent once it was received.
    expect(sessionLog([unknown, send(8, 9, 0, 1)], [], [[1, 2, 7]])).toBe('violation')
    expect(sessionLog([unknown, send(6, 9, 0, 1)], [], [[1, 2, 7]])).toBe('linearizable')
    // Nobody else takes its place.
    const other = send(3, never, 2, 0)
    expect(sessionLog([other, unknown], [latest(8, 9, 1)], [[1, 1, 7]])).toBe('linearizable')
    expect(sessionLog([other, unknown], [latest(8, 9, 2)], [[1, 2, 7]])).toBe('linearizable')
    expect(sessionLog([other, unknown], [latest(8, 9, 1)], [[1, 2, 7]])).toBe('violation')
  })

  it('leaves to other judges what was received before it was sent', () => {
    expect(sessionLog([send(5, never, 0, 0)], [], [[0, 1, 3]])).toBe('linearizable')
  })

  it('refuses msgids against real time', () => {
    expect(sessionLog([send(1, 2, 0, 2), send(3, 4, 1, 1)])).toBe('violation')
  })

  it('refuses a read of what nobody sent', () => {
    expect(sessionLog([send(1, 2, 0, 1)], [latest(3, 4, 2)])).toBe('violation')
    expect(sessionLog([send(5, never, 0, 0)], [latest(3, 4, 1)])).toBe('violation')
    expect(sessionLog([send(1, 2, 0, 2)])).toBe('violation')
  })

  it('refuses a duplicate before there was an original', () => {
    expect(sessionLog([send(1, 2, 1, 1), send(3, 4, 0, 2)], [latest(5, 6, 2)])).toBe('linearizable')
    expect(sessionLog([send(1, 2, 0, 2, true), send(3, 4, 1, 1)])).toBe('violation')
  })

  it('decides a long history with many unknown outcomes', () => {
    const sends = Array.from({ length: 3_000 }, (_, index) =>
      index % 3 === 0
        ? send(10 * index, never, index, 0)
        : send(10 * index, 10 * index + 35, index, 0)
    )
    let last = 0
    const answered = sends.map(one => {
      if (one.return === never) {
        if (one.message % 2 === 0) last++
        return one
      }
      return { ...one, msgid: ++last }
    })
    expect(sessionLog(answered, [latest(40_000, 40_001, last)])).toBe('linearizable')
    expect(sessionLog(answered, [latest(40_000, 40_001, last + 501)])).toBe('violation')
  })

  it('agrees with the definition on random small histories', { timeout: 60_000 }, () => {
    const verdicts = compare(new Prng(1), randomLog, history => {
      const sends: SendRecord[] = []
      const reads: LatestRecord[] = []
      for (const { call, return: end, input } of history) {
        if ('message' in input) {
          const msgid = end === never ? 0 : input.msgid
          sends.push({ ...input, call, return: end, msgid })
        } else if (end !== never) reads.push({ ...input, call, return: end })
      }
      const spec = explainable(history, new Map<number, number>(), applyLog)
      return { actual: sessionLog(sends, reads), spec }
    })
    expect(Math.min(verdicts.good, verdicts.bad)).toBeGreaterThan(runs / 8)
  })
})

describe('presence', () => {
  const register = (device: string, connSeq: number, deviceClass = 'bot'): PresenceInput => ({
    kind: 'register',
    device,
    connection: `${device}#${connSeq}`,
    connSeq,
    class: deviceClass
  })
  const unregister = (device: string, connSeq: number, removed = true): PresenceInput => ({
    kind: 'unregister',
    device,
    connection: `${device}#${connSeq}`,
    removed
  })
  const lookup = (...connections: string[]): PresenceInput => ({
    kind: 'lookup',
    routes: connections.map(connection => ({ device: connection.split('#')[0]!, connection }))
  })
  /** One after the other. */
  const inOrder = (...inputs: PresenceInput[]) =>
    presence(inputs.map((input, index) => ({ call: 2 * index + 1, return: 2 * index + 2, input })))

  it('accepts coming, moving, going', () => {
    const history = [register('a', 1), register('b', 1), lookup('b#1', 'a#1'), register('a', 2)]
    expect(inOrder(...history, lookup('a#2', 'b#1'), unregister('a', 2), lookup('b#1'))).toBe(
      'linearizable'
    )
  })

  it('accepts a late unregister of a connection that was replaced', () => {
    const history = [register('a', 1), register('a', 2), unregister('a', 1, false)]
    expect(inOrder(...history, lookup('a#2'))).toBe('linearizable')
  })

  it('keeps one device of a class that allows one', () => {
    const history = [register('a', 1, 'mobile'), register('b', 1, 'mobile')]
    expect(inOrder(...history, lookup('b#1'))).toBe('linearizable')
    expect(inOrder(...history, lookup('a#1', 'b#1'))).toBe('violation')
  })

  it('refuses a stale lookup', () => {
    expect(inOrder(register('a', 1), lookup())).toBe('violation')
    expect(inOrder(register('a', 1), register('a', 2), lookup('a#1'))).toBe('violation')
  })

  it('refuses a lost update', () => {
    expect(inOrder(register('a', 1), register('b', 1), lookup('b#1'))).toBe('violation')
  })

  it('refuses a lower connSeq that overwrites, and a removal of a connection that is gone', () => {
    expect(inOrder(register('a', 2), register('a', 1), lookup('a#1'))).toBe('violation')
    expect(inOrder(register('a', 1), register('a', 2), unregister('a', 1))).toBe('violation')
  })

  it('refuses a route that nobody registered', () => {
    expect(inOrder(register('a', 1), lookup('a#1', 'b#1'))).toBe('violation')
  })

  it('lets routes of a dead transfer vanish through an open unregister', () => {
    const at = (call: number, input: PresenceInput, end = call + 1) => ({
      call,
      return: end,
      input
    })
    const gone = at(3, unregister('a', 1, false), never)
    const before = [at(1, register('a', 1)), gone, at(5, lookup('a#1'))]
    expect(presence([...before, at(7, lookup())])).toBe('linearizable')
    expect(presence([...before, at(7, lookup()), at(9, lookup('a#1'))])).toBe('violation')
  })

  it('agrees with the definition on random small histories', { timeout: 60_000 }, () => {
    const verdicts = compare(new Prng(2), randomPresence, history => ({
      actual: presence(history),
      spec: explainable(history, {} as PlainRoutes, applyPresence)
    }))
    expect(Math.min(verdicts.good, verdicts.bad)).toBeGreaterThan(runs / 8)
  })
})

describe('a sequence', () => {
  const next = (call: number, end: number, first: number, count = 1) => ({
    call,
    return: end,
    input: { first, count }
  })

  it('accepts jumps, and any order of what overlaps', () => {
    expect(sequence([next(1, 2, 1, 10), next(3, 4, 11), next(5, 6, 100)])).toBe('linearizable')
    expect(sequence([next(1, 4, 2), next(2, 3, 1)])).toBe('linearizable')
  })

  it('refuses numbers that repeat, overlap, or go back in real time', () => {
    expect(sequence([next(1, 2, 1), next(3, 4, 1)])).toBe('violation')
    expect(sequence([next(1, 4, 1, 5), next(2, 3, 3)])).toBe('violation')
    expect(sequence([next(1, 2, 2), next(3, 4, 1)])).toBe('violation')
  })

  it('agrees with the definition on random small histories', { timeout: 60_000 }, () => {
    const verdicts = compare(new Prng(3), randomSequence, history => ({
      actual: sequence(history),
      spec: explainable(history, -1, (last, { first, count }) =>
        first > last ? first + count - 1 : undefined
      )
    }))
    expect(Math.min(verdicts.good, verdicts.bad)).toBeGreaterThan(runs / 8)
  })
})

/** Judges `runs` random histories both ways; each verdict must be the same. */
function compare<Input>(
  random: Prng,
  make: (random: Prng) => Trial<Input>[],
  judge: (history: readonly Trial<Input>[]) => { actual: string; spec: boolean }
): { good: number; bad: number } {
  const verdicts = { good: 0, bad: 0 }
  for (let run = 0; run < runs; run++) {
    const history = make(random)
    const { actual, spec } = judge(history)
    if (actual !== (spec ? 'linearizable' : 'violation')) expect.fail(JSON.stringify(history))
    verdicts[spec ? 'good' : 'bad']++
  }
  return verdicts
}

/** Up to six operations with random times, in the order in which they are to take effect. */
function times(random: Prng, unknownShare: number) {
  return Array.from({ length: 1 + random.below(6) }, () => {
    const call = random.float()
    const length = random.float() ** 2
    const unknown = random.float() < unknownShare
    const lasts = unknown ? 3 * length : length
    return {
      call,
      return: unknown ? never : call + length,
      effect: unknown && random.below(2) === 0 ? never : call + random.float() * lasts
    }
  }).sort((a, b) => a.effect - b.effect)
}

type LogTrial =
  | { readonly message: number; readonly msgid: number; readonly duplicate: boolean }
  | { readonly msgid: number }

function applyLog(
  state: ReadonlyMap<number, number>,
  input: LogTrial,
  outcomeKnown: boolean
): ReadonlyMap<number, number> | undefined {
  if (!('message' in input)) return !outcomeKnown || state.size === input.msgid ? state : undefined
  const had = state.get(input.message)
  const msgid = had ?? state.size + 1
  if (outcomeKnown && (input.msgid !== msgid || (had !== undefined && !input.duplicate))) {
    return undefined
  }
  return new Map(state).set(input.message, msgid)
}

function randomLog(random: Prng): Trial<LogTrial>[] {
  const msgids = new Map<number, number>()
  const lie = random.below(5)
  return times(random, 0.3).map((time, index) => {
    const wrong = index === lie ? pick(random, [-1, 1]) : 0
    if (random.below(3) === 0) return { ...time, input: { msgid: msgids.size + wrong } }
    const message = random.below(4)
    const duplicate = msgids.has(message)
    const msgid = msgids.get(message) ?? msgids.size + 1
    if (time.effect !== never) msgids.set(message, msgid)
    const input = { message, msgid: Math.max(1, msgid + wrong), duplicate }
    return { ...time, input: wrong === 1 ? { ...input, duplicate: !duplicate } : input }
  })
}

type PlainRoutes = Readonly<Record<string, { connection: string; connSeq: number; class: string }>>

function applyPresence(
  state: PlainRoutes,
  input: PresenceInput,
  outcomeKnown: boolean
): PlainRoutes | undefined {
  if (input.kind === 'lookup') {
    const show = (routes: readonly { device: string; connection: string }[]) =>
      JSON.stringify(routes.map(one => [one.device, one.connection]).sort())
    const all = Object.entries(state).map(([device, { connection }]) => ({ device, connection }))
    return !outcomeKnown || show(all) === show(input.routes) ? state : undefined
  }
  const current = state[input.device]
  if (input.kind === 'unregister') {
    if (current?.connection !== input.connection) {
      return outcomeKnown && input.removed ? undefined : state
    }
    return Object.fromEntries(Object.entries(state).filter(([device]) => device !== input.device))
  }
  const { device, connection, connSeq, class: deviceClass = '' } = input
  if (current !== undefined && current.connSeq > connSeq) return outcomeKnown ? undefined : state
  const kept = Object.entries(state).filter(
    ([other, route]) => other !== device && !(deviceClass === 'mobile' && route.class === 'mobile')
  )
  return { ...Object.fromEntries(kept), [device]: { connection, connSeq, class: deviceClass } }
}

function randomPresence(random: Prng): Trial<PresenceInput>[] {
  let state: PlainRoutes = {}
  const lie = random.below(5)
  return times(random, 0.3).map((time, index) => {
    const device = `d${random.below(2)}`
    const connSeq = 1 + random.below(2)
    const connection = `${device}#${connSeq}`
    const dice = random.below(3)
    let input: PresenceInput
    if (dice === 0) {
      input = { kind: 'register', device, connection, connSeq, class: pick(random, classes) }
    } else if (dice === 1) {
      const removed = state[device]?.connection === connection && random.below(4) > 0
      input = { kind: 'unregister', device, connection, removed }
      if (index === lie) input = { ...input, removed: !removed }
    } else {
      const routes = Object.entries(state).map(([name, one]) => ({
        device: name,
        connection: one.connection
      }))
      if (index === lie && routes.pop() === undefined) routes.push({ device, connection })
      input = { kind: 'lookup', routes }
    }
    if (time.effect !== never) state = applyPresence(state, input, false)!
    return { ...time, input }
  })
}

const classes = ['mobile', 'bot'] as const

function randomSequence(random: Prng): Trial<SequenceResult>[] {
  let last = 0
  const lie = random.below(5)
  return times(random, 0).map((time, index) => {
    const first = last + 1 + random.below(2)
    const count = 1 + random.below(2)
    last = first + count - 1
    const wrong = index === lie ? random.below(4) : 0
    return { ...time, input: { first: Math.max(0, first - wrong), count } }
  })
}

function pick<T>(random: Prng, items: readonly T[]): T {
  return items[random.below(items.length)]!
}
