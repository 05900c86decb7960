import { describe, expect, it } from 'vitest'
import { FakeRoleEnv } from '../../../test/support/fake-role-env.ts'
import { errorCodes } from '../../base/error-codes.ts'
import type { Packet } from '../../protocol/packet.ts'
import { answer } from '../../protocol/packet.ts'
import { ArbiterReports } from './arbiter-reports.ts'

const arbiters = ['arbiter/1', 'arbiter/2', 'arbiter/3']

class Bench {
  readonly env = new FakeRoleEnv('router/s1/1')
  readonly reports: ArbiterReports
  #sequence = 0

  constructor() {
    this.reports = new ArbiterReports(
      this.env,
      () => arbiters,
      () => ++this.#sequence
    )
  }

  /** Says the same every 50 ms, and returns whom it told. */
  insist(ms: number): string[] {
    for (const endMs = this.env.now + ms; this.env.now < endMs; this.env.now += 50) {
      this.reports.report(7, 3, 'imported')
    }
    return this.env.sent.map(({ to }) => to)
  }

  last(): Packet<'MOVE_REPORT'> {
    return this.env.sent.at(-1)!.packet as Packet<'MOVE_REPORT'>
  }

  refuse(code: 'NOT_LEADER' | 'NO_LEADER' | 'FORBIDDEN', leader: number): boolean | undefined {
    const hint = leader === 0 ? undefined : { setId: 'arbiter', replicaId: leader, term: 1 }
    const payload = { code: errorCodes[code].number, text: '', retryAfterMs: 0, hint }
    return this.reports.onAnswer(answer(this.last(), 'ERROR', payload))
  }
}

describe('reports of slots on their way', () => {
  it('are repeated to the one that answers, five times a second', () => {
    const bench = new Bench()
    for (let i = 0; i < 20; i++) {
      bench.insist(200)
      expect(bench.reports.onAnswer(answer(bench.last(), 'MOVE_REPORT_OK', {}))).toBe(false)
    }
    expect(bench.env.sent.map(({ to }) => to)).toEqual(Array(20).fill('arbiter/1'))
    expect(bench.last().payload).toEqual({ slot: 7, epoch: 3, outcome: 'imported' })
  })

  it('go to the next when one has been silent for a while', () => {
    const bench = new Bench()
    const told = bench.insist(1_600)
    expect(told).toEqual([...arbiters, 'arbiter/1'].flatMap(one => [one, one]))
  })

  it('go on to the leader at once when they are told of it', () => {
    const bench = new Bench()
    bench.insist(50)
    expect(bench.refuse('NOT_LEADER', 3)).toBe(true)
    expect(bench.insist(50)).toEqual(['arbiter/1', 'arbiter/3'])
    expect(bench.refuse('NO_LEADER', 0)).toBe(false)
    expect(bench.insist(50)).toHaveLength(2)
    expect(bench.insist(200).at(-1)).toBe('arbiter/1')
    expect(bench.refuse('FORBIDDEN', 0)).toBe(false)
    expect(bench.insist(200).at(-1)).toBe('arbiter/1')
  })

  it('leave out an arbiter that cannot be reached', () => {
    const bench = new Bench()
    bench.env.unreachable.add('arbiter/1')
    expect(bench.insist(400)).toEqual(['arbiter/2'])
  })

  it('knows its answers from those to others', () => {
    const bench = new Bench()
    bench.insist(50)
    const last = bench.last()
    expect(bench.reports.onAnswer(answer(last, 'MOVE_REPORT_OK', {}))).toBe(false)
    expect(bench.reports.onAnswer(answer(last, 'MOVE_REPORT_OK', {}))).toBeUndefined()
  })

  it('asks one arbiter after the other for the table', () => {
    const bench = new Bench()
    for (let i = 0; i < 8; i++, bench.env.now += 50) bench.reports.pullTable()
    expect(bench.env.sent.map(({ to }) => to)).toEqual([...arbiters, 'arbiter/1'])
    expect(bench.last().kind).toBe('TABLE_PULL')
  })
})
