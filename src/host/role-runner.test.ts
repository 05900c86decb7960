import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { expect, it, vi } from 'vitest'
import { noMetrics, silentLog } from '../base/ports.ts'
import type { Role } from '../protocol/role.ts'
import { RoleRunner } from './role-runner.ts'

const tickMs = 20

function standStill(forMs: number): void {
  const untilMs = performance.now() + forMs
  while (performance.now() < untilMs);
}

it('after a stall a role hears what had come before it is told that time has passed', async () => {
  const events: string[] = []
  let stalled = false
  let ticked: () => void = () => {}
  const ticks = new Promise<void>(resolve => {
    ticked = resolve
  })
  const role: Role = {
    start() {},
    tick() {
      if (!stalled) return
      events.push('tick')
      ticked()
    },
    onPacket() {},
    onPeer: () => events.push('heard'),
    onTable() {},
    flush() {},
    stopping: () => true
  }
  const runner = new RoleRunner({
    tickMs,
    log: silentLog,
    metrics: noMetrics,
    links: { deliverLocal: () => false, flush: () => {} },
    onLate: () => {},
    onFatal: error => {
      throw error
    }
  })
  runner.add('router/s/1', role)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = await once(server, 'connection')
  socket.on('data', () => runner.peer('router/s/2', true, false))
  runner.start()
  client.write('x')
  // The packet lies in the socket and the tick is due when the loop goes on.
  standStill(5 * tickMs)
  stalled = true
  await ticks
  expect(events[0]).toBe('heard')
  runner.stop()
  client.destroy()
  server.close()
})

it('flushes a role once more after a delay, but not after the end', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setImmediate'] })
  try {
    let flushes = 0
    const role: Role = {
      start() {},
      tick() {},
      onPacket() {},
      onPeer() {},
      onTable() {},
      flush: () => flushes++,
      stopping: () => true
    }
    const runner = new RoleRunner({
      tickMs,
      log: silentLog,
      metrics: noMetrics,
      links: { deliverLocal: () => false, flush: () => {} },
      onLate: () => {},
      onFatal: () => {}
    })
    runner.add('router/s/1', role)
    runner.wakeIn('router/s/1', 6)
    runner.wakeIn('router/s/2', 6)
    await vi.advanceTimersByTimeAsync(5)
    expect(flushes).toBe(0)
    await vi.advanceTimersByTimeAsync(2)
    expect(flushes).toBe(1)
    runner.wakeIn('router/s/1', 6)
    runner.stop()
    await vi.advanceTimersByTimeAsync(20)
    expect(flushes).toBe(1)
  } finally {
    vi.useRealTimers()
  }
})
