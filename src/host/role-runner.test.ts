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

/** A role that does only what a test has it do. */
function roleThat(does: Partial<Role>): Role {
  return {
    start() {},
    tick() {},
    onPacket() {},
    onPeer() {},
    onTable() {},
    flush() {},
    stopping: () => true,
    ...does
  }
}

function runnerOf(role: Role): RoleRunner {
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
  return runner
}

it('after a stall a role hears what had come before it is told that time has passed', async () => {
  const events: string[] = []
  let stalled = false
  let ticked: () => void = () => {}
  const ticks = new Promise<void>(resolve => {
    ticked = resolve
  })
  const runner = runnerOf(
    roleThat({
      tick() {
        if (!stalled) return
        events.push('tick')
        ticked()
      },
      onPeer: () => events.push('heard')
    })
  )
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

it('flushes a role once more after a delay, never before it is over, and not after the end', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setImmediate'] })
  let nowMs = 100.7
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
  const pass = async (ms: number): Promise<void> => {
    nowMs += ms
    await vi.advanceTimersByTimeAsync(ms)
  }
  try {
    let flushes = 0
    const runner = runnerOf(roleThat({ flush: () => flushes++ }))
    runner.wakeIn('router/s/1', 6)
    runner.wakeIn('router/s/2', 6)
    await pass(5)
    expect(flushes).toBe(0)
    // The timer is early.
    nowMs -= 3
    await pass(1)
    await pass(1)
    expect(flushes).toBe(0)
    await pass(3)
    await pass(1)
    expect(flushes).toBe(1)
    runner.wakeIn('router/s/1', 6)
    runner.stop()
    await pass(20)
    expect(flushes).toBe(1)
  } finally {
    clock.mockRestore()
    vi.useRealTimers()
  }
})
