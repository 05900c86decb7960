import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Rows, StateMachine } from '../../src/raft/state-machine.ts'
import { LevelGroup } from './level-group.ts'

/** Rows of one entry while the state is filled, and while the snapshot is under way. */
const rowsPerEntry = 500
const rowsMeanwhile = 20
const valueBytes = 100

/** Each entry makes rows as a router's does: a few that change all the time, many that stay. Its data says where they begin and how many they are. */
class RowMachine implements StateMachine {
  apply(_index: number, data: Buffer, rows: Rows): unknown[] {
    const first = data.readUInt32BE()
    const end = first + data.readUInt32BE(4)
    for (let row = first; row < end; row++) {
      const value = Buffer.alloc(valueBytes, row & 0xff)
      value.writeUInt32BE(row)
      if (row % 4 === 0) rows.put(keyOf(row), value)
      else rows.add(keyOf(row), value)
    }
    return [end - first]
  }

  reset(): void {}
}

function keyOf(row: number): string {
  return `${(row % 1024).toString(16).padStart(4, '0')}/session/p2p:user${row}:user${row + 1}`
}

/** Processor time of the main thread; wall time where the system does not tell. */
function mainThreadMs(): number {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'latin1').split(' ')[0]) / 1e6
  } catch {
    return performance.now()
  }
}

export interface LoopFigures {
  /** Longest delay of the event loop. */
  readonly maxMs: number
  readonly p99Ms: number
  /** The most that one turn of the loop computed: what is left of the delay on a machine that does nothing else. */
  readonly busyMs: number
}

/** Watches the event loop, turn by turn. The system counts processor time in steps of up to 4 ms. */
class LoopMeter {
  readonly #delay = monitorEventLoopDelay({ resolution: 1 })
  #busyMs = 0
  #beforeMs = mainThreadMs()

  constructor() {
    this.#delay.enable()
  }

  turn(): void {
    const nowMs = mainThreadMs()
    this.#busyMs = Math.max(this.#busyMs, nowMs - this.#beforeMs)
    this.#beforeMs = nowMs
  }

  stop(): LoopFigures {
    this.#delay.disable()
    const toMs = (nanoseconds: number): number => nanoseconds / 1e6
    const { max } = this.#delay
    return { maxMs: toMs(max), p99Ms: toMs(this.#delay.percentile(99)), busyMs: this.#busyMs }
  }
}

/** The same of a loop that turns and does nothing: what it shows is the machine's and its neighbours' doing. */
export async function measureIdleLoop(forMs: number): Promise<LoopFigures> {
  const meter = new LoopMeter()
  const endMs = performance.now() + forMs
  while (performance.now() < endMs) {
    await new Promise(resolve => setImmediate(resolve))
    meter.turn()
  }
  return meter.stop()
}

export interface StallFigures extends LoopFigures {
  readonly rows: number
  /** From the return of the replica to the last row. */
  readonly tookMs: number
}

/**
 * Three replicas in this process, each over a LevelDB of its own. One is away while the others fill the state; then it comes back and
 * gets all of it as a snapshot, while the group goes on. All three share the event loop, so that its delay is at least that of any
 * one of them.
 */
export async function measureSnapshotStall(folder: string, rows: number): Promise<StallFigures> {
  const group = new LevelGroup(folder, {
    machine: () => new RowMachine(),
    trim: { trailingEntries: 4, trailingBytes: 1 << 20 },
    writeBufferBytes: 16 << 20
  })
  await group.start(1, 2, 3)
  const { id: leader } = await group.leader()
  const away = leader === 3 ? 2 : 3
  await group.stop(away)
  const write = (first: number, count: number): Promise<number> => {
    const data = Buffer.alloc(8)
    data.writeUInt32BE(first)
    data.writeUInt32BE(count, 4)
    return group.write(data)
  }
  for (let first = 0; first < rows; first += rowsPerEntry) await write(first, rowsPerEntry)
  await group.pass(1_000)

  await group.start(away)
  const meter = new LoopMeter()
  group.onTurn = () => meter.turn()
  const startMs = performance.now()
  const { commit } = group.node(leader).replica.status()
  let next = 0
  while (group.node(away).replica.status().applied < commit) {
    await write((next++ * rowsMeanwhile) % rows, rowsMeanwhile)
  }
  const figures = meter.stop()
  const tookMs = performance.now() - startMs
  for (const row of [0, 1, Math.floor(rows / 2), rows - 1]) {
    const value = group.node(away).replica.getRow(keyOf(row))
    if (value?.readUInt32BE() !== row) throw new Error(`row ${row} did not arrive`)
  }
  await group.stop(...group.nodes.keys())
  return { ...figures, rows, tookMs }
}
