import { describe, expect, it } from 'vitest'
import { page } from '../../test/support/client-bench.ts'
import { Prng } from '../base/prng.ts'
import type { PayloadOf } from '../protocol/kinds.ts'
import { CatchUp } from './catch-up.ts'
import { Inbox, type InboxOptions } from './inbox.ts'

const stepMs = 50

/** An asynchronous listener, and a gateway that answers a PING one step later. */
class Bench {
  now = 0
  pings = 0
  got: number[] = []
  /** How many messages the listener is through with in one step. */
  pace = 0
  readonly #stored: number
  readonly #pageSize: number
  readonly #catchUp: CatchUp
  readonly #inbox: Inbox
  #open: PayloadOf<'PING'> | undefined

  constructor(stored: number, pageSize: number, options: InboxOptions) {
    this.#stored = stored
    this.#pageSize = pageSize
    const deliver = (_: string, { msgid }: { msgid: number }): 'pending' => {
      this.got.push(msgid)
      return 'pending'
    }
    this.#inbox = new Inbox(deliver, [], options)
    this.#catchUp = new CatchUp({ random: new Prng(1) }, this.#inbox, ping => {
      this.#open = ping
      return ++this.pings
    })
    this.#catchUp.connected(0, 30_000, 300_000)
  }

  get cursor(): number {
    return this.#inbox.cursor('s')
  }

  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += stepMs
      this.#answer()
      for (let i = 0; i < this.pace; i++) this.#inbox.settled('s', true)
      expect(this.#catchUp.tick(this.now)).toBe(true)
    }
  }

  #answer(): void {
    if (!this.#open) return
    const from = (this.#open.cursors[0]?.msgid ?? 0) + 1
    this.#open = undefined
    this.#catchUp.heard(this.now)
    const to = Math.min(from + this.#pageSize - 1, this.#stored)
    const served = from <= to
    if (served) {
      const fresh = this.#inbox.accept({ ...page(from, to), latest: this.#stored })
      this.#catchUp.pushed(this.now, fresh)
    }
    this.#catchUp.pong(this.now, this.pings, served && to < this.#stored)
  }
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1)

describe('catching up with a listener that takes its time', () => {
  it('does not ask for the same page again at the pace of the round trip', () => {
    const bench = new Bench(100, 10, { aheadPerSession: 512, ahead: 10_000 })
    bench.pass(20_000)
    expect(bench.got).toEqual([1])
    expect(bench.pings).toBeLessThan(12)
  })

  it('asks for the next page as soon as the listener is through with the one that is here', () => {
    const bench = new Bench(40, 10, { aheadPerSession: 512, ahead: 10_000 })
    bench.pass(25_000)
    const { pings } = bench
    bench.pace = 10
    bench.pass(1_000)
    expect(bench.cursor).toBe(40)
    expect(bench.got).toEqual(upTo(40))
    expect(bench.pings - pings).toBeLessThan(10)
  })

  it('asks for what did not fit once the listener has made room', () => {
    const bench = new Bench(40, 40, { aheadPerSession: 8, ahead: 8 })
    bench.pass(1_000)
    expect(bench.pings).toBe(1)
    bench.pace = 1
    bench.pass(5_000)
    expect(bench.cursor).toBe(40)
    expect(bench.got).toEqual(upTo(40))
    expect(bench.pings).toBeLessThan(10)
    bench.pass(20_000)
    expect(bench.pings).toBeLessThan(10)
  })
})
