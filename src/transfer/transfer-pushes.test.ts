import { describe, expect, it } from 'vitest'
import { page, TransferBench } from '../../test/support/transfer-bench.ts'
import { type Packet, packet } from '../protocol/packet.ts'

describe('heartbeats', () => {
  const ping = (intervalMs: number, sequence = 1): Packet<'PING'> => {
    const cursors = [{ session: 'p2p/a/b', msgid: 2 }]
    return packet('PING', { intervalMs, full: true, cursors }, { bootId: 9, sequence })
  }

  it('are answered with what is missing, then PONG', () => {
    const bench = new TransferBench()
    const connId = bench.online()
    bench.client(connId, ping(30_000))
    const [catchUp] = bench.take('CATCH_UP')
    expect(catchUp!.packet.payload).toMatchObject({ uid: bench.uid, full: true })
    bench.reply(catchUp!, 'CATCH_UP_OK', { pages: [page('p2p/a/b', 3, 4)], more: true })
    const kinds = bench.links.sent.filter(one => one.connId === connId).map(one => one.packet.kind)
    expect(kinds).toEqual(['PUSH', 'PONG'])
    expect(bench.links.take(connId, 'PONG')[0]).toMatchObject({
      sequence: 1,
      payload: { more: true }
    })
  })

  it('say that there is more when pushes had to be dropped', () => {
    const bench = new TransferBench()
    const connId = bench.online()
    bench.links.stuffed.add(connId)
    bench.client(connId, ping(30_000))
    const pages = [page('p2p/a/b', 3, 4)]
    bench.reply(bench.take('CATCH_UP')[0]!, 'CATCH_UP_OK', { pages, more: false })
    expect(bench.links.take(connId, 'PONG')[0]!.payload.more).toBe(true)
  })

  it('are served one at a time', () => {
    const bench = new TransferBench()
    const connId = bench.online()
    bench.client(connId, ping(30_000, 1))
    bench.client(connId, ping(30_000, 2))
    expect(bench.take('CATCH_UP')).toHaveLength(1)
    expect(bench.links.take(connId, 'ERROR')[0]).toMatchObject({ sequence: 2 })
  })

  it('keep the connection; twice the announced silence ends it', () => {
    const bench = new TransferBench()
    const connId = bench.online()
    bench.client(connId, ping(2_000))
    bench.pass(3_000)
    bench.client(connId, packet('PUSH_ACK', { cursors: [] }))
    bench.pass(3_900)
    expect(bench.links.closed.has(connId)).toBe(false)
    bench.pass(300)
    expect(bench.links.closed.get(connId)).toBe('IDLE_TIMEOUT')
    expect(bench.take('CLOSE').length).toBeGreaterThan(0)
  })

  it.each([
    [0, 2_000],
    [Number.MAX_SAFE_INTEGER, 120_000]
  ])('cannot announce an interval of %i ms', (intervalMs, endsMs) => {
    const bench = new TransferBench()
    const connId = bench.online()
    bench.client(connId, ping(intervalMs))
    bench.take('CATCH_UP')
    bench.pass(endsMs - 100)
    expect(bench.links.closed.has(connId)).toBe(false)
    bench.pass(300)
    expect(bench.links.closed.get(connId)).toBe('IDLE_TIMEOUT')
  })
})

describe('pushes', () => {
  it('are fenced by the life of the gateway and by their sender', () => {
    const bench = new TransferBench()
    const connId = bench.online()
    bench.deliver([connId], [page('p2p/a/b', 1, 1)], bench.transfer.transferBootId + 1)
    const items = [{ connIds: [connId], page: page('p2p/a/b', 1, 1) }]
    const { transferBootId } = bench.transfer
    bench.transfer.onPacket('logic/l1', packet('DELIVER', { transferBootId, items }))
    bench.transfer.flush()
    expect(bench.links.take(connId, 'PUSH')).toEqual([])
    expect(bench.env.counts.get('transfer_fenced_total')).toBe(2)
  })

  it('share one packet between connections, and merge the pages of one turn', () => {
    const bench = new TransferBench()
    const one = bench.online(bench.uid, 'a')
    const two = bench.online(bench.uid, 'b')
    bench.deliver([one, two], [page('p2p/a/b', 1, 1)])
    expect(bench.links.take(one, 'PUSH')[0]).toBe(bench.links.take(two, 'PUSH')[0])
    bench.deliver([one], [page('p2p/a/b', 2, 2), page('p2p/a/c', 1, 1)])
    const pushes = bench.links.take(one, 'PUSH')
    expect(pushes).toHaveLength(1)
    expect(pushes[0]!.payload.pages).toHaveLength(2)
  })

  it('are cut to the size of a push', () => {
    const bench = new TransferBench({ pushBytes: 200 })
    const connId = bench.online()
    bench.deliver([connId], [page('p2p/a/b', 1, 20), page('p2p/a/c', 1, 1)])
    const pages = bench.links.take(connId, 'PUSH').flatMap(({ payload }) => payload.pages)
    expect(pages.length).toBeGreaterThan(5)
    const ids = pages
      .filter(({ session }) => session === 'p2p/a/b')
      .flatMap(({ messages }) => messages.map(({ msgid }) => msgid))
    expect(ids).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  })

  it('are repeated twice from the history, and no more', () => {
    const bench = new TransferBench()
    const connId = bench.online()
    bench.deliver([connId], [page('p2p/a/b', 4, 6)])
    bench.links.take(connId, 'PUSH')
    const acked = [{ session: 'p2p/a/b', msgid: 4 }]
    bench.client(connId, packet('PUSH_ACK', { cursors: acked }))
    for (const ms of [1_100, 3_100]) {
      bench.pass(ms)
      const reads = bench.take('READ_PAGE')
      expect(reads).toHaveLength(1)
      expect(reads[0]!.packet.payload).toMatchObject({ session: 'p2p/a/b', from: 5, limit: 2 })
      bench.reply(reads[0]!, 'READ_PAGE_OK', page('p2p/a/b', 5, 6))
      expect(bench.links.take(connId, 'PUSH')).toHaveLength(1)
    }
    bench.pass(10_000)
    expect(bench.take('READ_PAGE')).toEqual([])
  })

  it('are not repeated once they are acknowledged', () => {
    const bench = new TransferBench()
    const connId = bench.online()
    bench.deliver([connId], [page('p2p/a/b', 1, 3)])
    const cursors = [
      { session: 'p2p/a/b', msgid: 3 },
      { session: 'never heard of', msgid: 9 }
    ]
    bench.client(connId, packet('PUSH_ACK', { cursors }))
    bench.pass(8_000)
    expect(bench.take('READ_PAGE')).toEqual([])
  })

  it('of a client that never reads cost a bounded number of sessions', () => {
    const bench = new TransferBench({ watchedSessions: 4 })
    const connId = bench.online()
    bench.links.stuffed.add(connId)
    for (let i = 0; i < 50; i++) bench.deliver([connId], [page(`p2p/a/b${i}`, 1, 1)])
    bench.pass(1_600)
    expect(bench.take('READ_PAGE').length).toBe(4)
  })

  it('for a connection that is gone make it take the route back again', () => {
    const bench = new TransferBench()
    const connId = bench.online()
    bench.transfer.onClientClosed(connId)
    bench.reply(bench.take('CLOSE')[0]!, 'CLOSE_OK', {})
    bench.deliver([connId], [page('p2p/a/b', 1, 1)])
    bench.deliver([connId], [page('p2p/a/b', 2, 2)])
    expect(bench.take('CLOSE')).toHaveLength(1)
  })

  it('do so also when it could not be taken back at all', () => {
    const bench = new TransferBench()
    const connId = bench.online()
    bench.transfer.onClientClosed(connId)
    bench.pass(90_000)
    bench.take('CLOSE')
    bench.deliver([connId], [page('p2p/a/b', 1, 1)])
    expect(bench.take('CLOSE')).toHaveLength(1)
  })
})
