import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import type { Prng } from '../base/prng.ts'
import { dataFolder } from '../config/data-folder.ts'
import { SlotOperator } from '../control/slot-operator.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import { compileTable } from '../table/compile-table.ts'
import { type MoveStep, moveSteps, type StepVictim } from '../table/move-steps.ts'
import { ownersOf } from '../table/runs.ts'
import type { RoutingTable } from '../table/table.ts'
import type { DrillCluster } from './arena.ts'
import { slotStepIn } from './step-lines.ts'
import type { Leaders } from './targets.ts'

interface StepKillOptions {
  readonly cluster: DrillCluster
  readonly processes: RunningCluster
  readonly leaders: Leaders
  readonly random: Prng
  /** Names of users: those whose slots move. */
  readonly uids: readonly string[]
  /** A slot is about to leave a set. */
  readonly onMove: (slot: number, from: string) => void
  /** Raised: waits for nothing any more. */
  readonly signal: AbortSignal
}

interface Way {
  readonly slot: number
  readonly from: string
  readonly to: string
}

const pollMs = 3
/** Until a step is seen, and from the kill until the table says what became of the move. */
const patienceMs = 30_000

/** Moves the slot of some user, and kills a leader as soon as a step of the move is seen. */
export class StepKills {
  readonly #options: StepKillOptions

  constructor(options: StepKillOptions) {
    this.#options = options
  }

  /**
   * Resolves with what was killed and what became of the slot, in words. @param kill ends a process, at once. Throws CANCELLED when the move
   * was over before the step was seen, TIMEOUT when step or end do not come, and what the arbiters refuse the move with.
   */
  async do(
    step: MoveStep,
    victim: StepVictim,
    kill: (node: string) => Promise<void>
  ): Promise<string> {
    const { cluster, leaders, onMove, signal } = this.#options
    const way = await this.#way()
    const { slot, from, to } = way
    onMove(slot, from)
    const watch = new MoveWatch(this.#options, way)
    const startMs = performance.now()
    const order = new SlotOperator(cluster.control, undefined, signal).carry([way], {
      wait: false,
      signal
    })
    let refusal: unknown
    order.catch((error: unknown) => {
      refusal = error
    })
    const { loggedMs } = await this.#until(`step ${step} of slot ${slot}`, async () => {
      if (refusal !== undefined) throw refusal
      return watch.saw(step)
    })
    const group = victim === 'arbiter' ? victim : victim === 'source' ? from : to
    const node = leaders.get(group)
    if (node === undefined) throw new RingsetError('NO_LEADER', `nobody leads ${group}`)
    const when =
      loggedMs === undefined
        ? 'when it was seen'
        : `${Math.max(0, Date.now() - loggedMs)} ms after it was logged`
    const killedMs = Date.now()
    await kill(node)
    const further = watch.further(step, killedMs)
    const owner = await this.#until(`the end of the move of slot ${slot}`, () => watch.owner())
    if (owner !== from && owner !== to) {
      throw new RingsetError('INTERNAL', `slot ${slot} of ${from} went to ${owner}, not to ${to}`)
    }
    const tookMs = Math.round(performance.now() - startMs)
    const fate = owner === to ? `arrived in ${to}` : `stayed in ${from}`
    return `${step}, ${victim}: ${node}, leader of ${group}, killed ${when}${further}; slot ${slot} ${fate}, ${tookMs} ms after the order`
  }

  /** Where there is traffic there is something to lose. */
  async #way(): Promise<Way> {
    const { cluster, random, uids } = this.#options
    const table = await cluster.control.any(node => node.table())
    const view = compileTable(table)
    const resting = [...new Set(uids.map(uid => view.slotOf(uid)))].filter(
      slot => view.move(slot) === undefined
    )
    if (resting.length === 0 || table.sets.length < 2) {
      throw new RingsetError('DRILL_UNABLE', 'no slot of a user can go to another set')
    }
    const slot = resting[random.below(resting.length)]!
    const from = view.owner(slot)!.setId
    const others = table.sets.filter(({ id }) => id !== from)
    return { slot, from, to: others[random.below(others.length)]!.id }
  }

  async #until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    const untilMs = performance.now() + patienceMs
    for (;;) {
      const found = await look()
      if (found !== undefined) return found
      if (this.#options.signal.aborted) throw new RingsetError('CANCELLED', `waited for ${what}`)
      if (performance.now() > untilMs) {
        throw new RingsetError('TIMEOUT', `${what} was not seen within ${patienceMs / 1_000} s`)
      }
      await pause(pollMs)
    }
  }
}

/** Sees how far a move has come: by the table, and by what the routers of both sets have logged since. */
class MoveWatch {
  readonly #cluster: DrillCluster
  readonly #leaders: Leaders
  readonly #way: Way
  readonly #logs: readonly LogTail[]
  /** Step → when the leader logged it; wall clock. */
  readonly #logged = new Map<string, number>()
  #epoch = 0
  #begun = false
  #owner: string | undefined
  /** Under way. */
  #look: Promise<void> | undefined

  constructor({ cluster, processes, leaders }: StepKillOptions, way: Way) {
    this.#cluster = cluster
    this.#leaders = leaders
    this.#way = way
    const folder = dataFolder(processes.dataDirectory)
    const concerned = cluster.config.nodes.filter(({ roles }) =>
      roles.some(role => role.role === 'router' && [way.from, way.to].includes(role.set))
    )
    this.#logs = concerned.map(({ id }) => new LogTail(folder.nodeLogFile(id)))
  }

  /** Undefined: the step has not been seen yet. `loggedMs`: by the wall clock, if it is one of a log. Throws CANCELLED when it will never be seen. */
  async saw(step: MoveStep): Promise<{ readonly loggedMs: number | undefined } | undefined> {
    for (const log of this.#logs) log.read(line => this.#line(line))
    // Nobody waits for the answer: the logs may show more by then.
    void this.#lookAtTable()
    if (step === 'begun' || step === 'done') {
      // What a set logs of it shows it as well, if that is seen earlier.
      const seen =
        step === 'begun'
          ? this.#begun || this.#logged.has('import')
          : this.#owner === this.#way.to || this.#logged.has('take') || this.#logged.has('leave')
      if (seen) return { loggedMs: undefined }
    } else {
      const atMs = this.#logged.get(step)
      if (atMs !== undefined) return { loggedMs: atMs }
    }
    if (this.#owner !== this.#way.from) return undefined
    throw new RingsetError('CANCELLED', `the move was called off before its step ${step}`)
  }

  /** The set that has the slot once the move is over; undefined while it is not. */
  async owner(): Promise<string | undefined> {
    await this.#lookAtTable()
    return this.#owner
  }

  /** What else had been logged by an instant of the wall clock, in words. */
  further(step: MoveStep, byMs: number): string {
    for (const log of this.#logs) log.read(line => this.#line(line))
    const later = moveSteps.slice(moveSteps.indexOf(step) + 1)
    const logged = later.filter(other => (this.#logged.get(other) ?? Infinity) <= byMs)
    return logged.length === 0 ? '' : `, and after ${logged.join(', ')}`
  }

  #line(line: string): void {
    const seen = slotStepIn(line)
    if (seen?.slot !== this.#way.slot || this.#logged.has(seen.step)) return
    this.#logged.set(seen.step, seen.atMs)
  }

  #lookAtTable(): Promise<void> {
    this.#look ??= this.#newestTable()
      .then(
        // The one node that answers may know less than the one before.
        table => table.epoch > this.#epoch && this.#judge(table),
        () => {}
      )
      .then(() => {
        this.#look = undefined
      })
    return this.#look
  }

  /** Whoever leads the arbiters knows it first. */
  #newestTable(): Promise<RoutingTable> {
    const { control } = this.#cluster
    const any = (): Promise<RoutingTable> => control.any(node => node.table())
    const arbiter = this.#leaders.get('arbiter')
    return arbiter === undefined ? any() : this.#cluster.node(arbiter).table().catch(any)
  }

  #judge(table: RoutingTable): void {
    this.#epoch = table.epoch
    const { slot, to } = this.#way
    const owner = ownersOf(table.runs)[slot]!
    const listed = table.moves.some(move => move.slot === slot)
    if (listed || owner === to) this.#begun = true
    this.#owner = this.#begun && !listed ? owner : undefined
  }
}

/** What is appended to a log from now on. */
class LogTail {
  readonly #file: string
  #atBytes: number
  #rest = ''

  constructor(file: string) {
    this.#file = file
    this.#atBytes = this.#sizeBytes()
  }

  read(take: (line: string) => void): void {
    const newBytes = this.#sizeBytes() - this.#atBytes
    if (newBytes <= 0) return
    const descriptor = openSync(this.#file, 'r')
    try {
      const block = Buffer.alloc(newBytes)
      const read = readSync(descriptor, block, 0, newBytes, this.#atBytes)
      this.#atBytes += read
      const lines = (this.#rest + block.toString('latin1', 0, read)).split('\n')
      this.#rest = lines.pop()!
      for (const line of lines) take(line)
    } finally {
      closeSync(descriptor)
    }
  }

  #sizeBytes(): number {
    return statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0
  }
}
