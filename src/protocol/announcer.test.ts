import { describe, expect, it } from 'vitest'
import { FakeRoleEnv } from '../../test/support/fake-role-env.ts'
import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import { Announcer } from './announcer.ts'
import { answer, packet } from './packet.ts'

const announceMs = 1_000

class Harness {
  readonly env = new FakeRoleEnv('transfer/t1', 42)
  arbiters = ['arbiter/1', 'arbiter/2', 'arbiter/3']
  stopping = false
  readonly announcer = new Announcer(
    this.env,
    () => this.arbiters,
    () => ({
      role: 'transfer',
      id: 't1',
      setId: 's1',
      nodeId: 'n1',
      bootId: 42,
      address: '',
      clientAddresses: [],
      version: '',
      stopping: this.stopping,
      load: 0
    }),
    announceMs
  )

  /** Where announcements went since the last look. */
  targets(): string[] {
    return this.env.take().map(sent => sent.to)
  }

  run(forMs: number): void {
    for (let passedMs = 0; passedMs < forMs; passedMs += 10) {
      this.env.now += 10
      this.announcer.tick()
    }
  }

  /** Answers the newest announcement; returns who had got it. */
  accept(): string {
    const { to, packet: request } = this.env.take().at(-1)!
    expect(this.announcer.onPacket(answer(request, 'ANNOUNCE_OK', {}))).toBe(true)
    return to
  }

  refuse(code: ErrorCode, leader?: number, retryAfterMs = 0): string {
    const { to, packet: request } = this.env.take().at(-1)!
    const hint = leader === undefined ? undefined : { setId: 'arbiter', replicaId: leader, term: 1 }
    const payload = { code: errorCodes[code].number, text: '', retryAfterMs, hint }
    expect(this.announcer.onPacket(answer(request, 'ERROR', payload))).toBe(true)
    return to
  }
}

describe('announcer', () => {
  it('announces at once, then every announceMs to the arbiter that answered', () => {
    const harness = new Harness()
    harness.announcer.tick()
    expect(harness.accept()).toBe('arbiter/1')
    harness.run(800)
    expect(harness.targets()).toEqual([])
    harness.run(250)
    expect(harness.accept()).toBe('arbiter/1')
  })

  it('goes where NOT_LEADER points, at once, and stays there', () => {
    const harness = new Harness()
    harness.announcer.tick()
    harness.refuse('NOT_LEADER', 3)
    expect(harness.accept()).toBe('arbiter/3')
    harness.run(1_050)
    expect(harness.accept()).toBe('arbiter/3')
  })

  it('does not run in circles when two arbiters point at each other', () => {
    const harness = new Harness()
    harness.announcer.tick()
    let leader = 2
    for (let i = 0; i < 3; i++) {
      harness.refuse('NOT_LEADER', leader)
      leader = 3 - leader
    }
    harness.refuse('NOT_LEADER', leader)
    expect(harness.targets()).toEqual([])
    harness.run(100)
    expect(harness.targets()).toHaveLength(1)
  })

  it('ignores a hint to somebody who is no arbiter it knows', () => {
    const harness = new Harness()
    harness.announcer.tick()
    harness.refuse('NOT_LEADER', 9)
    expect(harness.targets()).toEqual([])
    harness.run(100)
    expect(harness.targets()).toEqual(['arbiter/2'])
  })

  it('tries the arbiters in turn while none answers', () => {
    const harness = new Harness()
    harness.run(3 * announceMs)
    const targets = harness.targets()
    expect(targets.slice(0, 4)).toEqual(['arbiter/1', 'arbiter/2', 'arbiter/3', 'arbiter/1'])
    expect(targets.length).toBeLessThanOrEqual(7)
  })

  it('passes over unreachable arbiters in the same breath', () => {
    const harness = new Harness()
    harness.env.unreachable.add('arbiter/1').add('arbiter/2')
    harness.announcer.tick()
    expect(harness.targets()).toEqual(['arbiter/3'])
    harness.env.unreachable.add('arbiter/3')
    harness.run(announceMs)
    expect(harness.targets()).toEqual([])
    harness.env.unreachable.clear()
    harness.run(announceMs)
    expect(harness.targets().length).toBeGreaterThan(0)
  })

  it('asks less and less often while the arbiters have no leader', () => {
    const harness = new Harness()
    let asked = 0
    harness.announcer.tick()
    for (let ms = 0; ms < 60_000; ms += 10) {
      if (harness.env.sent.length > 0) {
        asked++
        harness.refuse('NO_LEADER')
      }
      harness.run(10)
    }
    expect(asked).toBeGreaterThan(55)
    expect(asked).toBeLessThan(80)
  })

  it('waits as long as it is told, but no longer than a turn', () => {
    const harness = new Harness()
    harness.announcer.tick()
    harness.refuse('RATE_LIMITED', undefined, 600)
    harness.run(500)
    expect(harness.targets()).toEqual([])
    harness.run(150)
    expect(harness.refuse('RATE_LIMITED', undefined, 60_000)).toBe('arbiter/1')
    harness.run(1_050)
    expect(harness.targets()).toEqual(['arbiter/1'])
  })

  it('says at once what has changed, with the newest facts', () => {
    const harness = new Harness()
    harness.announcer.tick()
    harness.accept()
    harness.stopping = true
    harness.announcer.announceNow()
    const [sent] = harness.env.sent
    expect(sent!.packet).toMatchObject({ kind: 'ANNOUNCE', payload: { stopping: true } })
  })

  it('swallows late answers, and leaves alone what is not its own', () => {
    const harness = new Harness()
    harness.announcer.tick()
    const [first] = harness.env.take()
    harness.announcer.announceNow()
    expect(harness.announcer.onPacket(answer(first!.packet, 'ANNOUNCE_OK', {}))).toBe(true)
    harness.accept()
    const error = { code: 2, text: '', retryAfterMs: 0, hint: undefined }
    const others = [
      packet('ERROR', error, { bootId: 42, sequence: 7 }),
      packet('ERROR', error, { bootId: 41, sequence: first!.packet.sequence }),
      packet('SUBMIT_OK', { msgid: 1, duplicate: false, atMs: 1 }, first!.packet)
    ]
    for (const other of others) {
      const { bootId, sequence } = other
      expect(harness.announcer.onPacket({ ...other, bootId, sequence })).toBe(false)
    }
  })

  it('keeps still while it knows no arbiter', () => {
    const harness = new Harness()
    harness.arbiters = []
    harness.run(5 * announceMs)
    expect(harness.targets()).toEqual([])
    harness.arbiters = ['arbiter/2']
    harness.run(announceMs)
    expect(harness.targets()[0]).toBe('arbiter/2')
  })
})
