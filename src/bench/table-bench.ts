import { ByteWriter } from '../base/bytes.ts'
import { type Clock, noMetrics, silentLog } from '../base/ports.ts'
import { ClientConnection } from '../net/client-connection.ts'
import { ClientListener } from '../net/client-listener.ts'
import type { CarryMode } from '../protocol/carrier.ts'
import { encodeFrame, headerBytes, linkIndex } from '../protocol/frame.ts'
import { packet } from '../protocol/packet.ts'
import { createTableKeeper } from '../table/create-table-keeper.ts'
import { ownersOf, runsOf, slotEpochsOf } from '../table/runs.ts'
import { SharedTables } from '../table/shared-tables.ts'
import type { RoutingTable } from '../table/table.ts'
import { encodeTable } from '../table/table-codec.ts'
import type { TableKeeper } from '../table/table-keeper.ts'
import type { TableView } from '../table/table-view.ts'
import type { BenchOptions, BenchReport, BenchRun } from './bench.ts'
import { describeEnvironment } from './environment.ts'
import { LatencyRecorder } from './latency.ts'
import { sampleTable } from './sample-table.ts'

export interface TableBenchOptions extends BenchOptions {
  readonly links: number
}

interface Way {
  readonly name: string
  readonly carry: CarryMode
  readonly deltas: boolean
}

const ways: readonly Way[] = [
  { name: 'stamp, deltas', carry: 'stamp', deltas: true },
  { name: 'stamp, whole tables', carry: 'stamp', deltas: false },
  { name: 'always', carry: 'always', deltas: false }
]
/** Each link carries a packet in both directions so often. */
const packetEveryMs = 200
/** A slot changes hands so often. */
const changeEveryMs = 1_000
const clock: Clock = { nowMs: () => performance.now(), wallMs: () => Date.now() }

/**
 * How a change of the table reaches everybody by the traffic alone: so many connections to one gateway, on each a small packet and its
 * answer at an even pace, and once a second another table. Sockets and codecs are those of the product, in one process.
 */
export async function benchTable(options: TableBenchOptions): Promise<BenchReport> {
  const runs: BenchRun[] = []
  for (const sets of [3, 64]) {
    for (const way of ways) {
      options.onProgress(`${sets} sets, ${way.name}`)
      runs.push(await benchWay(way, sets, options))
    }
  }
  return {
    suite: 'table',
    acked: `a table has reached one of ${options.links} connections; each sends and gets ${1_000 / packetEveryMs} packets a second, one slot moves a second`,
    runs,
    environment: describeEnvironment()
  }
}

async function benchWay(
  { name, carry, deltas }: Way,
  sets: number,
  { links, seconds }: TableBenchOptions
): Promise<BenchRun> {
  const tables = new Tables(sampleTable(sets))
  const source = new CountedKeeper(tables, deltas)
  const listener = new ClientListener({
    carry,
    limits: { connections: links + 1 },
    keeper: source,
    log: silentLog,
    metrics: noMetrics,
    clock
  })
  const address = await listener.listen(
    { host: '127.0.0.1', port: 0 },
    {
      onClientOpen: () => {},
      onClientClosed: () => {},
      onClientPacket: (connId, { kind }) => {
        if (kind === 'CONNECT') listener.authenticated(connId)
      }
    }
  )
  const readers: Reader[] = []
  try {
    for (let i = 0; i < links; i++) {
      readers.push(await Reader.connect(`tcp://${address.host}:${address.port}`, tables))
    }
    // Spread evenly, however long it took to connect.
    for (const [i, reader] of readers.entries()) {
      reader.startAfter((i * packetEveryMs) / readers.length)
    }
    await everybodyAt(readers, source.view().epoch)
    return await measure(`${sets} sets, ${name}`, { tables, source, readers, carry, seconds })
  } finally {
    for (const reader of readers) reader.close()
    await listener.stop()
  }
}

interface Measured {
  readonly tables: Tables
  readonly source: CountedKeeper
  readonly readers: readonly Reader[]
  readonly carry: CarryMode
  readonly seconds: number
}

async function measure(name: string, world: Measured): Promise<BenchRun> {
  const { tables, source, readers, carry, seconds } = world
  source.updateBytes = 0
  const recorder = new LatencyRecorder()
  const from = { packets: packetsOf(readers), cpu: process.cpuUsage(), atMs: performance.now() }
  let changes = 0
  for (; changes < seconds; changes++) {
    const changedMs = performance.now()
    for (const reader of readers) reader.onTable = atMs => recorder.record(atMs - changedMs)
    source.adopt(tables.next())
    await new Promise(resolve => setTimeout(resolve, changeEveryMs))
    await everybodyAt(readers, source.view().epoch)
  }
  const packets = packetsOf(readers) - from.packets
  const elapsedSeconds = (performance.now() - from.atMs) / 1_000
  const { user, system } = process.cpuUsage(from.cpu)
  const tableBytes =
    carry === 'always' ? packets * (source.view().encoded.length + 4) : source.updateBytes
  const { count, ...latency } = recorder.summary()
  return {
    rows: [{ name, count, ...latency, perSecond: count / elapsedSeconds, failed: 0 }],
    facts: {
      tableBytes: source.view().encoded.length,
      stampBytes,
      headerBytes,
      tableBytesPerPacket: Math.round((tableBytes / packets) * 10) / 10,
      tableBytesPerLinkAndChange: Math.round(tableBytes / readers.length / changes),
      packetBytesWithoutTable: answerBytes(),
      cpuMicrosPerRoundTrip: Math.round(((user + system) / packets) * 10) / 10
    }
  }
}

/** Of the header: cluster tag, table epoch, slot, slotEpoch, term. */
const stampBytes = 2 + 4 + 2 + 4 + 4

function answerBytes(): number {
  const writer = new ByteWriter(headerBytes)
  return encodeFrame(writer, packet('LINK_PONG', {}), linkIndex, linkIndex, 1, 1)
}

function packetsOf(readers: readonly Reader[]): number {
  return readers.reduce((sum, { answers }) => sum + answers, 0)
}

/** Resolves when every reader has the table; links that are silent for 10 s are an error of the bench. */
async function everybodyAt(readers: readonly Reader[], epoch: number): Promise<void> {
  const untilMs = performance.now() + 10_000
  while (readers.some(({ keeper }) => keeper.view().epoch < epoch)) {
    if (performance.now() > untilMs) throw new Error('a table does not reach everybody')
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}

/** One table after the other; whoever adopts one looks at the same compiled one, which in a real cluster each process does for itself. */
class Tables {
  readonly work = new SharedTables()
  #table: RoutingTable

  constructor(first: RoutingTable) {
    this.#table = first
  }

  /** One more slot has gone to the next set. */
  next(): Buffer {
    const { epoch, sets, runs, slotCount } = this.#table
    const owners = ownersOf(runs)
    const epochs = slotEpochsOf(runs)
    const slot = (epoch * 389) % slotCount
    const at = sets.findIndex(({ id }) => id === owners[slot])
    owners[slot] = sets[(at + 1) % sets.length]!.id
    epochs[slot] = epoch + 1
    this.#table = { ...this.#table, epoch: epoch + 1, runs: runsOf(owners, epochs) }
    return encodeTable(this.#table)
  }
}

/** Counts what leaves with packets as tables or deltas. */
class CountedKeeper implements TableKeeper {
  readonly #keeper: TableKeeper
  readonly #deltas: boolean
  updateBytes = 0

  constructor(tables: Tables, deltas: boolean) {
    this.#keeper = createTableKeeper({ work: tables.work })
    this.#deltas = deltas
    this.#keeper.adopt(tables.next())
  }

  view(): TableView {
    return this.#keeper.view()
  }

  adopt(encoded: Buffer): ReturnType<TableKeeper['adopt']> {
    return this.#keeper.adopt(encoded)
  }

  onAdopted(listener: (view: TableView) => void): void {
    this.#keeper.onAdopted(listener)
  }

  updateFrom(epoch: number): Buffer {
    const update = this.#deltas ? this.#keeper.updateFrom(epoch) : this.view().encoded
    this.updateBytes += update.length + 4
    return update
  }
}

/** One client of the gateway. */
class Reader {
  readonly keeper: TableKeeper
  answers = 0
  onTable: (atMs: number) => void = () => {}
  #connection: ClientConnection | undefined
  #timer: NodeJS.Timeout | undefined

  private constructor(tables: Tables) {
    this.keeper = createTableKeeper({ work: tables.work })
    this.keeper.onAdopted(() => this.onTable(performance.now()))
  }

  static async connect(address: string, tables: Tables): Promise<Reader> {
    const reader = new Reader(tables)
    const connection = await ClientConnection.connect(address, {
      keeper: reader.keeper,
      onPacket: () => {},
      onClose: () => {}
    })
    reader.#connection = connection
    connection.send(
      packet('CONNECT', {
        token: '',
        deviceId: 'bench',
        class: 'desktop',
        sdkVersion: 'bench',
        connSeq: 1
      })
    )
    return reader
  }

  startAfter(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = setInterval(() => this.#round(), packetEveryMs)
    }, delayMs)
  }

  #round(): void {
    this.answers++
    this.#connection?.send(packet('LINK_PING', {}))
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#connection?.close()
  }
}
