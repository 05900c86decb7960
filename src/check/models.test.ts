import { describe, expect, it } from 'vitest'
import { explainable, type Trial } from '../../test/support/brute-force.ts'
import { compare, never, pick, runs, times } from '../../test/support/random-trials.ts'
import { Prng } from '../base/prng.ts'
import { linearize } from './linearizability.ts'
import { type PresenceInput, preparePresence } from './presence.ts'
import { prepareSequence } from './sequence.ts'
import type { SequenceResult } from './values.ts'

const budget = 1_000_000

function presence(operations: readonly Trial<PresenceInput>[]) {
  const prepared = preparePresence(operations)
  return linearize(prepared.operations, prepared.model, budget).result
}

function sequence(operations: readonly Trial<SequenceResult>[]) {
  const prepared = prepareSequence(operations)
  return linearize(prepared.operations, prepared.model, budget).result
}

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
