import { setMaxListeners } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { assert, RingsetError } from '../base/errors.ts'
import type { Prng } from '../base/prng.ts'
import type { Arena, DrillCluster } from './arena.ts'
import { type Disturbances, linkDisturbances, nodeDisturbances } from './disturbances.ts'
import { type FailStop, FaultHand } from './fault-hand.ts'
import { type DisturbingHand, LeasedFaults } from './leased-faults.ts'
import { OperationHand, type RollWork } from './operations.ts'
import type { FaultRecord } from './recovery.ts'
import {
  type FaultAction,
  isLinkAction,
  isNodeAction,
  isOperation,
  type Scenario,
  type ScenarioFault
} from './scenario.ts'
import { StepKills } from './step-kills.ts'
import { drawn, type Leaders, nodesOf, parseTarget, setsOn, type Target } from './targets.ts'
import { userGroups } from './user-names.ts'

/** What became of the operations of a run. */
export interface OperationOutcome {
  readonly action: string
  /** In words, or the refusal. */
  readonly text: string
  readonly ok: boolean
}

export interface StrokesOptions {
  readonly arena: Arena
  readonly scenario: Scenario
  readonly random: Prng
  readonly leaders: Leaders
  readonly roll: RollWork
  /** Raised: the cluster is about to be ended, mend nothing; unless it is one that lasts. */
  readonly signal: AbortSignal
  /** Something began or ended, in words. */
  readonly onEvent: (event: string) => void
}

interface Selection {
  readonly target: Target | undefined
  readonly from: Target | undefined
  readonly to: Target | undefined
}

/** Nobody is expected to take over. */
const keepLeaders: readonly FaultAction[] = [
  'slowDisk',
  'clockOffset',
  'delay',
  'loss',
  'bandwidth',
  'drain',
  'moveSlots',
  'addSet',
  'removeSet'
]

/** The faults and operations of a scenario, as they fall due. */
export class Strokes {
  readonly faults: FaultRecord[] = []
  readonly outcomes: OperationOutcome[] = []
  /** In words: what could not be done or undone as it was to be. */
  readonly failures: string[] = []
  readonly #options: StrokesOptions
  readonly #cluster: DrillCluster
  readonly #hand: FaultHand | undefined
  readonly #leased: LeasedFaults
  readonly #links: DisturbingHand
  readonly #operations: OperationHand
  readonly #stepKills: StepKills | undefined
  readonly #selections: readonly Selection[]
  readonly #ended = new AbortController()
  readonly #underWay = new Set<Promise<void>>()
  readonly #disturbed = new Set<string>()
  #timers: Promise<void>[] = []
  #alone: Promise<void> = Promise.resolve()

  /** Throws CONFIG_INVALID for a target that does not exist. */
  constructor(options: StrokesOptions) {
    const { arena, scenario, random, roll } = options
    const { cluster, processes } = arena
    this.#options = options
    this.#cluster = cluster
    const parsed = (text: string | undefined): Target | undefined =>
      text === undefined ? undefined : parseTarget(text, cluster.config)
    // Each line of the scenario waits for it.
    setMaxListeners(0, this.#ended.signal)
    this.#selections = scenario.faults.map(({ target, from, to }) => {
      return { target: parsed(target), from: parsed(from), to: parsed(to) }
    })
    this.#leased = new LeasedFaults(cluster)
    this.#links = arena.network ?? this.#leased
    this.#hand = processes && new FaultHand(processes, random, this.#leased)
    const { signal } = this.#ended
    const over = options.signal
    this.#operations = new OperationHand({ cluster, processes, random, roll, signal, over })
    const uids = userGroups(scenario.workload, arena.prefix).flat()
    const onMove = (slot: number, from: string): void => this.#operations.remember(slot, from)
    const { leaders } = options
    this.#stepKills =
      processes && new StepKills({ cluster, processes, leaders, random, uids, onMove, signal })
  }

  /** Nodes, and links in words, under a fault right now. */
  get disturbed(): string[] {
    return [...(this.#hand?.disturbed ?? []), ...this.#disturbed]
  }

  get failStops(): readonly FailStop[] {
    return this.#hand?.failStops ?? []
  }

  /** @param quietSeconds before the first may fall. */
  start(quietSeconds: number): void {
    const { faults } = this.#options.scenario
    this.#timers = faults.map((fault, i) =>
      this.#timeline(fault, this.#selections[i]!, quietSeconds)
    )
  }

  /** Resolves when all that is to happen has happened; never, if something is to happen for ever. */
  async over(): Promise<void> {
    await Promise.all(this.#timers)
    await Promise.allSettled(this.#underWay)
  }

  /** Begins nothing more, waits for what is under way, and mends everything: the cluster is whole again. Throws what keeps it from that. */
  async end(): Promise<void> {
    this.#ended.abort()
    await Promise.all(this.#timers)
    await Promise.allSettled(this.#underWay)
    await Promise.all([this.#leased.end(), this.#links.end()])
    await this.#hand?.undoAll()
    const { arena, signal } = this.#options
    await this.#cluster.waitReady(arena.lasting ? {} : { signal })
  }

  /** After `end`: slots are where they were before. Throws what the cluster refuses with. */
  async putBack(): Promise<void> {
    await this.#operations.putBack()
  }

  /** Begins nothing more, whatever happens to what is under way. */
  async abandon(): Promise<void> {
    this.#ended.abort()
    await Promise.allSettled([...this.#underWay])
    await Promise.all([this.#leased.end(), this.#links.end()])
  }

  /** One line of the scenario: its strokes, one after the other, until the load ends. */
  async #timeline(fault: ScenarioFault, selection: Selection, quiet: number): Promise<void> {
    const { at, every, times = every === undefined ? 1 : Number.POSITIVE_INFINITY } = fault
    const { signal } = this.#ended
    const wait = (s: number) => pause(s * 1_000, undefined, { signal }).catch(() => {})
    await wait(quiet + (at ?? every ?? 0))
    for (let stroke = 0; stroke < times && !signal.aborted; stroke++) {
      const work = fault.alone
        ? this.#strokeAlone(fault, selection)
        : this.#stroke(fault, selection)
      this.#underWay.add(work)
      void work
        .catch((error: unknown) => {
          if (!this.#abandoned) this.failures.push(`${fault.do}: ${failureText(error)}`)
        })
        .finally(() => this.#underWay.delete(work))
      if (every === undefined) return
      await wait(every)
    }
  }

  /** As an operator would: one after the other, each only once the one before is whole again. */
  #strokeAlone(fault: ScenarioFault, selection: Selection): Promise<void> {
    const mine = this.#alone.then(async () => {
      if (this.#ended.signal.aborted) return
      await this.#stroke(fault, selection)
      // Others may be under another line's fault; that all are back in the end is looked at then.
      await this.#cluster.waitReady({ signal: this.#options.signal }).catch(() => {})
    })
    this.#alone = mine.catch(() => {})
    return mine
  }

  #stroke(fault: ScenarioFault, selection: Selection): Promise<void> {
    if (isLinkAction(fault.do)) return this.#disturbLinks(fault, selection)
    if (isNodeAction(fault.do)) return this.#disturbNodes(fault, selection)
    if (isOperation(fault.do)) return this.#operate(fault, selection)
    if (fault.do === 'killAtStep') return this.#killAtStep(fault)
    return this.#hit(fault, selection)
  }

  async #hit(fault: ScenarioFault, { target }: Selection): Promise<void> {
    const action = fault.do
    if (isLinkAction(action) || isNodeAction(action) || isOperation(action)) return
    if (action === 'killAtStep') return
    const hand = this.#hand
    assert(hand !== undefined, 'only what the arena allows is done')
    const nodes = this.#nodes(target!, node => hand.free(action, node))
    if (nodes.length === 0) return
    const record = this.#record(fault, nodes, nodes)
    const what = `${action} ${nodes.join(', ')}`
    this.#options.onEvent(`${what} (${fault.target})`)
    record.inForceMs = 0
    const done = await hand.do(fault, action, nodes).then(
      inForceMs => {
        record.inForceMs = inForceMs ?? record.atMs
        return undefined
      },
      (error: unknown) => ({ error })
    )
    await this.#hold(fault, record)
    if (this.#abandoned) return
    this.#options.onEvent(`${what} is undone`)
    const undone = hand.undo(nodes)
    if (done === undefined) return undone
    await undone.catch(() => {})
    throw done.error
  }

  async #disturbNodes(fault: ScenarioFault, { target }: Selection): Promise<void> {
    if (!isNodeAction(fault.do)) return
    const nodes = this.#nodes(target!)
    if (nodes.length === 0) return
    const record = this.#record(fault, nodes, nodes)
    const what = `${fault.do} ${nodes.join(', ')}`
    const disturbances = nodeDisturbances(fault.do, fault, nodes)
    await this.#disturb(this.#leased, disturbances, { fault, record, what })
  }

  async #disturbLinks(fault: ScenarioFault, { target, from, to }: Selection): Promise<void> {
    const { random } = this.#options
    const { config } = this.#cluster
    const here = drawn((target ?? from)!, config, random)
    const group = 'group' in here ? here.group : undefined
    const there = to === undefined ? undefined : drawn(to, config, random, group)
    const nodes = this.#nodes(here)
    const others =
      there === undefined
        ? config.nodes.map(({ id }) => id).filter(id => !nodes.includes(id))
        : this.#nodes(there)
    const clients = there?.kind === 'clients'
    if (nodes.length === 0 || (others.length === 0 && !clients)) return
    const disturbances = linkDisturbances(fault, config, nodes, clients ? undefined : others)
    const known = there === undefined ? nodes : [...nodes, ...others]
    // Of clients that are cut off nobody's leadership depends.
    const record = this.#record(fault, nodes, known, clients ? [] : this.#ledBy(nodes))
    const end = clients ? 'clients' : there === undefined ? 'all others' : others.join(', ')
    const what = `${fault.do} ${nodes.join(', ')} ${fault.do === 'cutOneWay' ? '→' : '–'} ${end}`
    await this.#disturb(this.#links, disturbances, { fault, record, what })
  }

  async #disturb(
    hand: DisturbingHand,
    disturbances: Disturbances,
    { fault, record, what }: { fault: ScenarioFault; record: FaultRecord; what: string }
  ): Promise<void> {
    this.#disturbed.add(what)
    this.#options.onEvent(what)
    record.inForceMs = 0
    record.inForceMs = await hand.do(disturbances)
    await this.#hold(fault, record)
    this.#disturbed.delete(what)
    if (this.#abandoned) return
    this.#options.onEvent(`${what} is undone`)
    await hand.undo(disturbances)
  }

  async #operate(fault: ScenarioFault, { target }: Selection): Promise<void> {
    const nodes = target === undefined ? [] : this.#nodes(target)
    if (target !== undefined && nodes.length === 0) return
    const record = this.#record(fault, nodes, nodes)
    const ledGroups = this.#ledBy(nodes)
    const what = [fault.do, ...nodes].join(' ')
    this.#options.onEvent(what)
    const order = { fault, nodes, ledGroups }
    let text: string | undefined
    let ok = true
    try {
      text = await this.#operations.do(order)
    } catch (error) {
      if (!(error instanceof RingsetError)) throw error
      ok = false
      text = failureText(error)
    }
    record.undoneMs = performance.now()
    if (this.#abandoned || text === undefined) return
    this.outcomes.push({ action: fault.do, text, ok })
    this.#options.onEvent(`${what}: ${text}`)
    if (fault.do !== 'drain') return
    await this.#hold(fault, record)
    await this.#operations.undo(order)
  }

  async #killAtStep(fault: ScenarioFault): Promise<void> {
    const { step, victim } = fault
    const hand = this.#hand
    const kills = this.#stepKills
    assert(hand !== undefined && kills !== undefined, 'only what the arena allows is done')
    assert(step !== undefined && victim !== undefined, 'a scenario names both')
    let back = Promise.resolve()
    const kill = async (node: string): Promise<void> => {
      const record = this.#record(fault, [node], [node])
      await hand.do(fault, 'kill', [node])
      back = this.#hold(fault, record).then(async () => {
        if (!this.#abandoned) await hand.undo([node])
      })
      back.catch(() => {})
    }
    const { text, ok } = await kills.do(step, victim, kill).then(
      done => ({ text: done, ok: true }),
      (error: unknown) => {
        if (!(error instanceof RingsetError)) throw error
        return { text: `${step}, ${victim}: ${failureText(error)}`, ok: false }
      }
    )
    await back
    if (this.#abandoned) return
    this.outcomes.push({ action: fault.do, text, ok })
    this.#options.onEvent(`${fault.do}: ${text}`)
  }

  get #abandoned(): boolean {
    return this.#options.signal.aborted && !this.#options.arena.lasting
  }

  #nodes(target: Target, free: (node: string) => boolean = () => true): string[] {
    const { leaders, random } = this.#options
    return nodesOf(target, this.#cluster.config, leaders, random, free)
  }

  #ledBy(nodes: readonly string[]): string[] {
    const { leaders } = this.#options
    return [...leaders].filter(([, node]) => nodes.includes(node)).map(([group]) => group)
  }

  #record(
    fault: ScenarioFault,
    nodes: readonly string[],
    touched: readonly string[],
    led = this.#ledBy(nodes)
  ): FaultRecord {
    const { target, from, to } = fault
    const atMs = performance.now()
    const record: FaultRecord = {
      action: fault.do,
      line: this.#options.scenario.faults.indexOf(fault),
      target: target ?? (from === undefined ? '' : `${from} – ${to ?? 'all others'}`),
      nodes,
      sets: setsOn(touched, this.#cluster.config),
      ledGroups: keepLeaders.includes(fault.do) ? [] : led,
      atMs,
      inForceMs: atMs,
      undoneMs: 0
    }
    this.faults.push(record)
    return record
  }

  async #hold({ seconds }: ScenarioFault, record: FaultRecord): Promise<void> {
    await pause(seconds * 1_000, undefined, { signal: this.#ended.signal }).catch(() => {})
    record.undoneMs = performance.now()
  }
}

/** For a check's examples. */
export function failureText(error: unknown): string {
  if (error instanceof RingsetError) return `${error.code}, ${error.message}`
  return error instanceof Error ? error.message : String(error)
}
