import { setTimeout as pause } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import type { Prng } from '../base/prng.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import { FaultHand } from './fault-hand.ts'
import { LinkHand, linkFaults } from './link-hand.ts'
import { OperationHand, type RollWork } from './operations.ts'
import type { FaultRecord } from './recovery.ts'
import { isLinkAction, isOperation, type Scenario, type ScenarioFault } from './scenario.ts'
import { drawn, type Leaders, nodesOf, parseTarget, setsOn, type Target } from './targets.ts'

/** What became of the operations of a run. */
export interface OperationOutcome {
  readonly action: string
  /** In words, or the refusal. */
  readonly text: string
  readonly ok: boolean
}

export interface StrokesOptions {
  readonly cluster: RunningCluster
  readonly scenario: Scenario
  readonly random: Prng
  readonly leaders: Leaders
  readonly roll: RollWork
  /** Raised: the cluster is about to be ended, mend nothing. */
  readonly signal: AbortSignal
  /** Something began or ended, in words. */
  readonly onEvent: (event: string) => void
}

interface Selection {
  readonly target: Target | undefined
  readonly from: Target | undefined
  readonly to: Target | undefined
}

/** The faults and operations of a scenario, as they fall due. */
export class Strokes {
  readonly faults: FaultRecord[] = []
  readonly outcomes: OperationOutcome[] = []
  readonly #options: StrokesOptions
  readonly #hand: FaultHand
  readonly #links: LinkHand
  readonly #operations: OperationHand
  readonly #selections: readonly Selection[]
  readonly #ended = new AbortController()
  readonly #underWay = new Set<Promise<void>>()
  readonly #disturbedLinks = new Set<string>()
  #timers: Promise<void>[] = []
  #alone: Promise<void> = Promise.resolve()

  /** Throws CONFIG_INVALID for a target that does not exist. */
  constructor(options: StrokesOptions) {
    const { cluster, scenario, random, roll } = options
    this.#options = options
    const parsed = (text: string | undefined): Target | undefined =>
      text === undefined ? undefined : parseTarget(text, cluster.config)
    this.#selections = scenario.faults.map(({ target, from, to }) => {
      return { target: parsed(target), from: parsed(from), to: parsed(to) }
    })
    this.#hand = new FaultHand(cluster, random)
    this.#links = new LinkHand(cluster)
    this.#operations = new OperationHand(cluster, random, roll, this.#ended.signal)
  }

  /** Nodes, and links in words, under a fault right now. */
  get disturbed(): string[] {
    return [...this.#hand.disturbed, ...this.#disturbedLinks]
  }

  /** @param quietSeconds before the first may fall. */
  start(quietSeconds: number): void {
    const { faults } = this.#options.scenario
    this.#timers = faults.map((fault, i) =>
      this.#timeline(fault, this.#selections[i]!, quietSeconds)
    )
  }

  /** Begins nothing more, waits for what is under way, and mends everything: the cluster is whole again. */
  async end(): Promise<void> {
    this.#ended.abort()
    await Promise.all(this.#timers)
    await Promise.all(this.#underWay)
    await this.#links.end()
    await this.#hand.undoAll()
  }

  /** Begins nothing more, whatever happens to what is under way. */
  async abandon(): Promise<void> {
    this.#ended.abort()
    await Promise.allSettled([...this.#underWay])
    await this.#links.end()
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
      void work.finally(() => this.#underWay.delete(work)).catch(() => {})
      if (every === undefined) return
      await wait(every)
    }
  }

  /** As an operator would: one after the other, each only once the one before is whole again. */
  #strokeAlone(fault: ScenarioFault, selection: Selection): Promise<void> {
    const mine = this.#alone.then(async () => {
      if (this.#ended.signal.aborted) return
      await this.#stroke(fault, selection)
      await this.#options.cluster.waitReady({ signal: this.#options.signal })
    })
    this.#alone = mine.catch(() => {})
    return mine
  }

  #stroke(fault: ScenarioFault, selection: Selection): Promise<void> {
    if (isLinkAction(fault.do)) return this.#disturb(fault, selection)
    if (isOperation(fault.do)) return this.#operate(fault, selection)
    return this.#hit(fault, selection)
  }

  async #hit(fault: ScenarioFault, { target }: Selection): Promise<void> {
    const action = fault.do
    if (isLinkAction(action) || isOperation(action)) return
    const nodes = this.#nodes(target!, node => this.#hand.free(action, node))
    if (nodes.length === 0) return
    const record = this.#record(fault, nodes, nodes)
    const what = `${action} ${nodes.join(', ')}`
    this.#options.onEvent(`${what} (${fault.target})`)
    await this.#hand.do(action, nodes)
    await this.#hold(fault, record)
    if (this.#options.signal.aborted) return
    this.#options.onEvent(`${what} is undone`)
    await this.#hand.undo(nodes)
  }

  async #disturb(fault: ScenarioFault, { target, from, to }: Selection): Promise<void> {
    const { cluster, random } = this.#options
    const { config } = cluster
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
    const faults = linkFaults(fault, config, nodes, clients ? undefined : others)
    const known = there === undefined ? nodes : [...nodes, ...others]
    const record = this.#record(fault, nodes, known)
    const end = clients ? 'clients' : there === undefined ? 'all others' : others.join(', ')
    const what = `${fault.do} ${nodes.join(', ')} ${fault.do === 'cutOneWay' ? '→' : '–'} ${end}`
    this.#disturbedLinks.add(what)
    this.#options.onEvent(what)
    await this.#links.do(faults)
    await this.#hold(fault, record)
    this.#disturbedLinks.delete(what)
    if (this.#options.signal.aborted) return
    this.#options.onEvent(`${what} is undone`)
    await this.#links.undo(faults)
  }

  async #operate(fault: ScenarioFault, { target }: Selection): Promise<void> {
    const nodes = target === undefined ? [] : this.#nodes(target)
    if (target !== undefined && nodes.length === 0) return
    const record = this.#record(fault, nodes, nodes)
    const { ledGroups } = record
    const what = [fault.do, ...nodes].join(' ')
    this.#options.onEvent(what)
    const order = { fault, nodes, ledGroups }
    let text: string
    let ok = true
    try {
      text = await this.#operations.do(order)
    } catch (error) {
      if (!(error instanceof RingsetError)) throw error
      ok = false
      text = `${error.code}, ${error.message}`
    }
    record.undoneMs = performance.now()
    if (this.#options.signal.aborted) return
    this.outcomes.push({ action: fault.do, text, ok })
    this.#options.onEvent(`${what}: ${text}`)
    if (fault.do !== 'drain') return
    await this.#hold(fault, record)
    await this.#operations.undo(order)
  }

  #nodes(target: Target, free: (node: string) => boolean = () => true): string[] {
    const { cluster, leaders, random } = this.#options
    return nodesOf(target, cluster.config, leaders, random, free)
  }

  #record(fault: ScenarioFault, nodes: readonly string[], touched: readonly string[]): FaultRecord {
    const { cluster, leaders } = this.#options
    const { target, from, to } = fault
    const record: FaultRecord = {
      action: fault.do,
      target: target ?? (from === undefined ? '' : `${from} – ${to ?? 'all others'}`),
      nodes,
      sets: setsOn(touched, cluster.config),
      ledGroups: [...leaders].filter(([, node]) => nodes.includes(node)).map(([group]) => group),
      atMs: performance.now(),
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
