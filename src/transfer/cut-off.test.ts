import { describe, expect, it } from 'vitest'
import { otherAddress, PairBench } from '../../test/support/transfer-bench.ts'

/** A gateway whose lease nobody renews any more. */
class LonelyBench extends PairBench {
  /** Lets time pass; nobody answers. */
  alone(ms: number): void {
    for (const end = this.env.now + ms; this.env.now < end; ) {
      this.env.now += 10
      this.transfer.tick()
      this.transfer.flush()
    }
  }
}

describe('a gateway that hears nobody of its set', () => {
  it('sends its clients to the others of its set, and keeps those who come later out', () => {
    const bench = new LonelyBench()
    const connId = bench.online()
    bench.pass(1_100)
    bench.alone(1_300)
    expect(bench.asked([connId])).toEqual([])
    bench.alone(700)
    expect(bench.asked([connId])).toEqual([connId])
    const late = bench.open()
    bench.connect(late, bench.uid, 'tablet')
    const [redirect] = bench.links.take(late, 'REDIRECT')
    expect(redirect!.payload).toEqual({ setId: 's1', addresses: [otherAddress] })
  })

  it.each([
    ['a router', 'router/s1/2'],
    ['a gateway', 'transfer/t9'],
    ['a logic', 'logic/l2']
  ])('stays as long as %s elsewhere is connected', (_, peer) => {
    const bench = new LonelyBench()
    const connId = bench.online()
    bench.transfer.onPeer(peer, true)
    bench.alone(10_000)
    expect(bench.asked([connId])).toEqual([])
    bench.transfer.onPeer(peer, false)
    bench.alone(600)
    expect(bench.asked([connId])).toEqual([connId])
  })

  it('does not count those of its own node', () => {
    const bench = new LonelyBench()
    const connId = bench.online()
    bench.transfer.onPeer('logic/l1', true)
    bench.alone(4_000)
    expect(bench.asked([connId])).toEqual([connId])
  })

  it('keeps its clients when there is no other gateway', () => {
    const bench = new LonelyBench()
    bench.neighbour('down')
    const connId = bench.online()
    bench.alone(10_000)
    expect(bench.asked([connId])).toEqual([])
  })

  it('takes clients again once its lease is renewed', () => {
    const bench = new LonelyBench()
    bench.alone(4_000)
    expect(bench.transfer.departure.leaving).toBe(true)
    bench.pass(3_000)
    expect(bench.transfer.departure.leaving).toBe(false)
    bench.online(bench.uid, 'tablet')
  })

  it('stays drained when somebody has asked for that meanwhile', () => {
    const bench = new LonelyBench()
    bench.alone(4_000)
    expect(bench.transfer.departure.drain(10, false)).toBe(true)
    bench.pass(3_000)
    expect(bench.transfer.departure.state).toBe('draining')
  })
})
