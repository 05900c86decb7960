import { describe, expect, it } from 'vitest'
import { explainable, type Trial } from '../../test/support/brute-force.ts'
import { compare, never, pick, runs, times } from '../../test/support/random-trials.ts'
import { Prng } from '../base/prng.ts'
import { linearize } from './linearizability.ts'
import { type LatestRecord, prepareSessionLog, type SendRecord } from './session-log.ts'

const budget = 1_000_000

/** @param received [message, msgid, line] each. */
function sessionLog(
  sends: readonly SendRecord[],
  reads: readonly LatestRecord[] = [],
  received: readonly (readonly [number, number, number])[] = []
) {
  const receipts = new Map(received.map(([message, msgid, line]) => [message, { msgid, line }]))
  const prepared = prepareSessionLog(sends, reads, receipts)
  if ('refused' in prepared) return 'violation'
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

  it('takes unknown outcomes in any order, and in that of their calls', () => {
    const sends = [send(5, never, 1, 0), send(1, never, 0, 0)]
    expect(sessionLog(sends, [latest(3, 4, 1), latest(6, 7, 2)])).toBe('linearizable')
    expect(sessionLog(sends, [latest(3, 4, 2)])).toBe('violation')
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
    const taking = send(1, never, 2, 0)
    const answered = send(5, never, 1, 0)
    expect(sessionLog([taking, answered], [latest(3, 4, 1)], [[1, 1, 7]])).toBe('violation')
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
      const received: [number, number, number][] = []
      for (const { call, return: end, input } of history) {
        if (input.kind === 'receive') received.push([input.message, input.msgid, end])
        else if (input.kind === 'send') {
          const msgid = end === never ? 0 : input.msgid
          sends.push({ ...input, call, return: end, msgid })
        } else if (end !== never) reads.push({ ...input, call, return: end })
      }
      const spec = explainable(history, new Map<number, number>(), applyLog)
      return { actual: sessionLog(sends, reads, received), spec }
    })
    expect(Math.min(verdicts.good, verdicts.bad)).toBeGreaterThan(runs / 8)
  })
})

type LogTrial =
  | {
      readonly kind: 'send'
      readonly message: number
      readonly msgid: number
      readonly duplicate: boolean
    }
  | { readonly kind: 'latest'; readonly msgid: number }
  | { readonly kind: 'receive'; readonly message: number; readonly msgid: number }

function applyLog(
  state: ReadonlyMap<number, number>,
  input: LogTrial,
  outcomeKnown: boolean
): ReadonlyMap<number, number> | undefined {
  if (input.kind === 'latest') {
    return !outcomeKnown || state.size === input.msgid ? state : undefined
  }
  const had = state.get(input.message)
  if (input.kind === 'receive') return had === input.msgid ? state : undefined
  const msgid = had ?? state.size + 1
  if (outcomeKnown && (input.msgid !== msgid || (had !== undefined && !input.duplicate))) {
    return undefined
  }
  return new Map(state).set(input.message, msgid)
}

/** Each message is received once at most, as its first receive counts, and never as another msgid than it was acknowledged, nor as that of another message: these others judge. */
function randomLog(random: Prng): Trial<LogTrial>[] {
  const msgids = new Map<number, number>()
  const lie = random.below(5)
  const history = times(random, 0.3).map((time, index): Timed => {
    const wrong = index === lie ? pick(random, [-1, 1]) : 0
    if (random.below(3) === 0) {
      return { ...time, input: { kind: 'latest', msgid: msgids.size + wrong } }
    }
    const message = random.below(4)
    const duplicate = msgids.has(message)
    const msgid = msgids.get(message) ?? msgids.size + 1
    if (time.effect !== never) msgids.set(message, msgid)
    const input = { kind: 'send', message, msgid: Math.max(1, msgid + wrong), duplicate } as const
    return { ...time, input: wrong === 1 ? { ...input, duplicate: !duplicate } : input }
  })
  return inLines([...history, ...receives(random, history)])
}

type Timed = Trial<LogTrial> & { readonly effect: number }

function receives(random: Prng, history: readonly Timed[]): Timed[] {
  const received = new Map<number, Timed>()
  for (const { call, return: end, effect, input } of history) {
    if (input.kind !== 'send' || received.has(input.message) || random.below(2) === 0) continue
    const acked = history.find(({ input: other, return: at }) => {
      return other.kind === 'send' && other.message === input.message && at !== never
    })?.input.msgid
    const msgid = acked ?? Math.max(1, input.msgid + pick(random, [0, 0, 0, -1, 1]))
    const holders = [...history, ...received.values()].filter(one => {
      return one.return !== never && one.input.kind !== 'latest' && one.input.msgid === msgid
    })
    if (holders.some(one => 'message' in one.input && one.input.message !== input.message)) continue
    const sinceMs = effect === never ? call : pick(random, [effect, effect, call])
    const at = sinceMs + 0.01 + random.float() * Math.min(end - call, 1)
    const receive = { kind: 'receive', message: input.message, msgid } as const
    received.set(input.message, { call: at, return: at, effect: at, input: receive })
  }
  return [...received.values()]
}

/** The same with positions in a history for times; a receive is one line. */
function inLines(history: readonly Timed[]): Trial<LogTrial>[] {
  const all = history.flatMap(({ call, return: end }) => [call, end]).filter(at => at !== never)
  const lines = new Map([...new Set(all)].sort((a, b) => a - b).map((at, i) => [at, i + 1]))
  return history.map(({ call, return: end, input }) => {
    const line = end === never ? never : lines.get(end)!
    const from = input.kind === 'receive' ? line - 0.5 : lines.get(call)!
    return { call: from, return: line, input }
  })
}
