/**
 * Processor microseconds per append in a router, the best of many rounds: admission with encoding, applying, and both with the answer.
 * Usage: node --import tsx test/support/router-speed.ts [seconds] [batch]
 */
import { ByteWriter } from '../../src/base/bytes.ts'
import { packet } from '../../src/protocol/packet.ts'
import { p2pSession, parseSession, routingKey } from '../../src/protocol/session.ts'
import { beginEntry, finishEntry, writeAppend, writeOwn } from '../../src/router/commands.ts'
import { Router } from '../../src/router/router.ts'
import { RouterMachine } from '../../src/router/router-machine.ts'
import { FakeGroup } from './fake-replica.ts'
import { MapRows } from './map-rows.ts'
import { oneSetTable } from './router-table.ts'

const seconds = Number(process.argv[2] ?? 2)
const batch = Number(process.argv[3] ?? 64)
const sessionCount = 1_000
const table = oneSetTable()
const body = Buffer.alloc(128, 7)

const senders = Array.from({ length: sessionCount }, (_, i) => {
  const uid = `user-${i}`
  const session = p2pSession(uid, `peer-${i}`)
  const slot = table.slotOf(routingKey(session, parseSession(session)))
  return { uid, session, slot, clientMsgId: 0 }
})

/** Processor time, so that other work on the machine does not count. */
function cpuMicros(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Without the timeline, which would go to the disk: keeping it all would measure the garbage collector. */
class ForgetfulMap extends Map<string, Buffer> {
  override set(key: string, value: Buffer): this {
    return key.startsWith('timeline', 5) ? this : super.set(key, value)
  }
}

function measureApply(): void {
  const rows = new MapRows(new ForgetfulMap())
  const machine = new RouterMachine({ appended() {}, queued() {}, replaced() {} })
  const writer = new ByteWriter(1 << 16)
  beginEntry(writer, 1_700_000_000_000, 64)
  writeOwn(writer, [{ first: 0, count: 64, slotEpoch: 1 }])
  machine.apply(1, finishEntry(writer, 1), rows)
  let index = 1
  let next = 0
  let appends = 0
  let best = Number.POSITIVE_INFINITY
  const untilMs = performance.now() + seconds * 1_000
  while (performance.now() < untilMs) {
    const entries: Buffer[] = []
    for (let e = 0; e < 100; e++) {
      beginEntry(writer, 1_700_000_000_000 + index, 64)
      for (let i = 0; i < batch; i++) {
        const sender = senders[next++ % sessionCount]!
        const { uid, session, slot } = sender
        writeAppend(
          writer,
          slot,
          1,
          { localMembers: 3, targetSets: [] },
          {
            session,
            uid,
            deviceId: 'phone-1',
            clientMsgId: ++sender.clientMsgId,
            type: 0,
            body
          }
        )
      }
      entries.push(finishEntry(writer, batch))
    }
    const start = cpuMicros()
    for (const entry of entries) machine.apply(++index, entry, rows)
    best = Math.min(best, (cpuMicros() - start) / 100 / batch)
    appends += 100 * batch
  }
  console.log(`apply      ${best.toFixed(2)} µs/append (${appends})`)
}

function measureRole(): void {
  const group = new FakeGroup()
  let answers = 0
  const router = new Router(
    {
      self: 'router/s1/1',
      bootId: 1,
      random: { float: () => 0, below: () => 0, id48: () => 1 },
      log: { debug() {}, info() {}, warn() {}, error() {} },
      metrics: { count() {}, gauge() {}, observe() {} },
      nowMs: () => performance.now(),
      wallMs: () => 1_700_000_000_000,
      send: () => {
        answers++
        return true
      },
      table: () => table,
      flushIn: () => {}
    },
    {
      setId: 's1',
      replicaId: 1,
      identity: { nodeId: 'n', address: 'a', version: 'v' },
      arbiters: [],
      announceMs: 1_000,
      transferLeaseMs: 1_000,
      replica: (machine, _send, onLeadership) =>
        group.join(1, machine, onLeadership, { rows: new ForgetfulMap(), applied: 0 })
    }
  )
  group.lead(1)
  router.tick()
  router.flush()
  let next = 0
  let appends = 0
  let admitBest = Number.POSITIVE_INFINITY
  let allBest = Number.POSITIVE_INFINITY
  for (const sender of senders) sender.clientMsgId = 0
  const untilMs = performance.now() + seconds * 1_000
  while (performance.now() < untilMs) {
    const requests = Array.from({ length: batch * 50 }, () => {
      const sender = senders[next++ % sessionCount]!
      const { uid, session, slot } = sender
      const clientMsgId = ++sender.clientMsgId
      const payload = { session, uid, deviceId: 'phone-1', clientMsgId, type: 0, body }
      return packet('APPEND', payload, { bootId: 9, sequence: next, slot, slotEpoch: 1, epoch: 1 })
    })
    const start = cpuMicros()
    let admitMicros = 0
    for (let i = 0; i < requests.length; i += batch) {
      const before = cpuMicros()
      for (let k = i; k < i + batch; k++) router.onPacket('logic/l1', requests[k]!)
      admitMicros += cpuMicros() - before
      router.flush()
    }
    allBest = Math.min(allBest, (cpuMicros() - start) / requests.length)
    admitBest = Math.min(admitBest, admitMicros / requests.length)
    appends += requests.length
    if (group.log.length > 10_000) {
      group.log.fill({ term: 0, data: Buffer.alloc(0) }, 0, group.committed)
    }
  }
  console.log(`admission  ${admitBest.toFixed(2)} µs/append (${appends}, ${answers} answers)`)
  console.log(`whole role ${allBest.toFixed(2)} µs/append`)
}

measureApply()
measureRole()
