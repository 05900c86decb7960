/**
 * Memory per idle authenticated client connection of a gateway: `node --expose-gc --import tsx
 * test/support/measure-idle-memory.ts [connections]`. The clients are another process.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ClientConnection } from '../../src/net/client-connection.ts'
import { packet } from '../../src/protocol/packet.ts'
import { startListener } from './client-listener-harness.ts'
import { fakeTable } from './fake-table-keeper.ts'
import { until } from './until.ts'

const connections = Number(process.argv[2] ?? 10_000)

/** Once collecting garbage frees nothing more. */
async function residentBytes(): Promise<{ rss: number; heap: number }> {
  const heapBytes = (): number => {
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  for (let before = Number.POSITIVE_INFINITY; heapBytes() < before; ) {
    before = heapBytes()
    globalThis.gc?.()
    await turn()
  }
  return { rss: process.memoryUsage().rss, heap: heapBytes() }
}

async function serve(): Promise<void> {
  const table = fakeTable(3, 'x'.repeat(4_096))
  const under = await startListener({
    table,
    records: false,
    onPacket: (listener, connId, got) => {
      if (got.kind === 'CONNECT') listener.send(connId, packet('PONG', pong, got))
    }
  })
  const before = await residentBytes()
  const script = fileURLToPath(import.meta.url)
  const child = fork(script, ['dial', under.address, String(connections)], {
    execArgv: ['--import', 'tsx']
  })
  await once(child, 'message')
  const after = await residentBytes()
  const per = (a: number, b: number) => `${((b - a) / connections / 1_024).toFixed(2)} KiB`
  console.log(`${under.listener.connections} idle connections`)
  console.log(`per connection: resident ${per(before.rss, after.rss)}`)
  console.log(`per connection: heap and buffers ${per(before.heap, after.heap)}`)
  child.kill()
  await once(child, 'exit')
  await under.listener.stop()
}

const pong = { serverTimeMs: 1, more: false }

async function dial(address: string, count: number): Promise<void> {
  let answered = 0
  for (let i = 0; i < count; i++) {
    const connection = await ClientConnection.connect(address, {
      onPacket: () => answered++,
      onClose: () => {}
    })
    const claim = { token: 't', deviceId: 'd', class: 'bot', sdkVersion: '1', connSeq: 1 } as const
    connection.send(packet('CONNECT', claim))
  }
  await until('all answered', () => answered === count)
  process.send!('ready')
}

if (process.argv[2] === 'dial') await dial(process.argv[3]!, Number(process.argv[4]))
else await serve()
