import { describe, expect, it } from 'vitest'
import { FakeRoleEnv } from '../../test/support/fake-role-env.ts'
import { errorCodeOf } from '../base/error-codes.ts'
import type { PayloadOf } from './kinds.ts'
import { Observer } from './observer.ts'
import { answer, type Packet, packet } from './packet.ts'

const deadlineMs = 500
const life = (nodeId: string, bootId = 7) => ({ nodeId, bootId })

class Harness {
  readonly env = new FakeRoleEnv('observer/w', 42)
  readonly observer = new Observer(this.env)
  #questions = 0

  ask(suspects: PayloadOf<'OBSERVE'>['suspects'], from = 'arbiter/1'): void {
    const header = { bootId: 1, sequence: ++this.#questions, deadlineMs }
    this.observer.onPacket(from, packet('OBSERVE', { suspects }, header))
  }

  run(forMs: number): void {
    for (let passedMs = 0; passedMs < forMs; passedMs += 10) {
      this.env.now += 10
      this.observer.tick()
    }
  }

  /** Who was probed since the last look, and what was answered: `heard` or the code of an ERROR. */
  look(): { probed: string[]; answers: (boolean[] | string)[] } {
    const sent = this.env.take()
    return {
      probed: sent.filter(({ packet: { kind } }) => kind === 'PROBE').map(({ to }) => to),
      answers: sent.flatMap(({ packet: said }): (boolean[] | string)[] => {
        if (said.kind === 'ERROR') return [errorCodeOf(said.payload.code)]
        return said.kind === 'OBSERVE_OK' ? [said.payload.heard] : []
      })
    }
  }

  /** Takes the last probe that went to a node, for an answer to it later. */
  probe(nodeId: string): Packet {
    const to = `observer/${nodeId}`
    return this.env.take().findLast(sent => sent.to === to && sent.packet.kind === 'PROBE')!.packet
  }

  sign(nodeId: string, probe: Packet, bootId = 7): void {
    this.observer.onPacket(`observer/${nodeId}`, answer(probe, 'PROBE_OK', { bootId }))
  }
}

describe('observer', () => {
  it('says of each node whether that life of it gives a sign', () => {
    const harness = new Harness()
    harness.ask([life('x')])
    harness.sign('x', harness.probe('x'))
    expect(harness.look().answers).toEqual([[true]])
    harness.ask([life('x')])
    harness.sign('x', harness.probe('x'), 8)
    expect(harness.look().answers).toEqual([[false]])
  })

  it('answers for those that give none when the patience of the asker comes to its end', () => {
    const harness = new Harness()
    harness.ask([life('x'), life('y')])
    harness.sign('y', harness.probe('y'))
    harness.run(380)
    expect(harness.look()).toEqual({ probed: [], answers: [] })
    harness.run(40)
    expect(harness.look().answers).toEqual([[false, true]])
    harness.run(1_000)
    expect(harness.look()).toEqual({ probed: [], answers: [] })
  })

  it('knows at once of a process whose place has just refused a connection', () => {
    const harness = new Harness()
    harness.observer.onPeer('observer/x', false, true)
    harness.ask([life('x')])
    expect(harness.look()).toEqual({ probed: [], answers: [[false]] })
    harness.ask([life('y')])
    harness.observer.onPeer('observer/y', false, false)
    expect(harness.look().answers).toEqual([])
    harness.observer.onPeer('observer/y', false, true)
    expect(harness.look().answers).toEqual([[false]])
  })

  it('takes a refusal for nothing once the process is back, or long after', () => {
    const harness = new Harness()
    harness.observer.onPeer('observer/x', false, true)
    harness.observer.onPeer('observer/x', true, false)
    harness.ask([life('x')])
    expect(harness.look().probed).toEqual(['observer/x'])
    harness.observer.onPeer('observer/y', false, true)
    harness.run(5_100)
    harness.look()
    harness.ask([life('y')])
    expect(harness.look().probed).toEqual(['observer/y'])
  })

  it('probes again when the first could not leave, or its link was lost', () => {
    const harness = new Harness()
    harness.env.unreachable.add('observer/x')
    harness.ask([life('x')])
    harness.run(50)
    expect(harness.look().probed).toEqual([])
    harness.env.unreachable.clear()
    harness.run(50)
    expect(harness.look().probed).toEqual(['observer/x'])
    harness.observer.onPeer('observer/x', true, false)
    harness.run(50)
    const probe = harness.probe('x')
    harness.sign('x', probe)
    expect(harness.look().answers).toEqual([[true]])
  })

  it('sends one probe for all who ask about a node', () => {
    const harness = new Harness()
    harness.ask([life('x')])
    const probe = harness.probe('x')
    harness.ask([life('x', 8)], 'arbiter/2')
    expect(harness.look().probed).toEqual([])
    harness.sign('x', probe, 8)
    expect(harness.look().answers).toEqual([[false], [true]])
  })

  it('passes over signs that nobody waits for', () => {
    const harness = new Harness()
    harness.ask([life('x')])
    const probe = harness.probe('x')
    harness.sign('y', probe)
    harness.sign('x', packet('PROBE', {}, { bootId: 42, sequence: 99 }))
    harness.sign('x', packet('PROBE', {}, { bootId: 41, sequence: probe.sequence }))
    expect(harness.look().answers).toEqual([])
    harness.run(500)
    expect(harness.look().answers).toEqual([[false]])
    harness.sign('x', probe)
    expect(harness.look().answers).toEqual([])
  })

  it('is asked by arbiters only, and of so much at once', () => {
    const harness = new Harness()
    harness.ask([life('x')], 'transfer/t1')
    harness.observer.onPacket('logic/l1', packet('OPEN_OK', {}, { bootId: 1, sequence: 1 }))
    expect(harness.look()).toEqual({ probed: [], answers: ['FORBIDDEN', 'UNEXPECTED_PACKET'] })
    for (let i = 0; i < 20; i++) harness.ask([life('x')])
    expect(harness.look()).toEqual({
      probed: ['observer/x'],
      answers: Array(4).fill('OVERLOADED')
    })
    harness.run(500)
    expect(harness.look().answers).toEqual(Array(16).fill([false]))
  })

  it('gives a sign of its own life', () => {
    const harness = new Harness()
    const probe = packet('PROBE', {}, { bootId: 9, sequence: 3 })
    harness.observer.onPacket('observer/x', probe)
    expect(harness.env.take()).toMatchObject([
      { to: 'observer/x', packet: { kind: 'PROBE_OK', bootId: 9, sequence: 3 } }
    ])
  })
})
