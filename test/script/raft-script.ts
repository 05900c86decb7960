import type { RaftConfig } from '../../src/raft/raft-api.ts'
import type { RaftMessage, ReplicaId } from '../../src/raft/types.ts'
import { Cluster, defaultConfig, type Node } from './raft-cluster.ts'
import { type Command, ids, parse } from './raft-command.ts'
import { printEntries, printEntry, printMessage, printReady, printStatus } from './raft-print.ts'

/** Runs the command language of `test/script/raft/*.txt`; see `docs/testing.md`. */
export class RaftScript {
  readonly #cluster = new Cluster({ seed: 1, encode: true })
  #held: RaftMessage[] = []
  #out: string[] = []
  #quiet = false

  /** Runs commands, one a line. @returns the trace. */
  run(lines: readonly string[]): string[] {
    this.#out = []
    for (const line of lines) this.#runOne(parse(line))
    const out = this.#out
    return out.length === 0 ? ['ok'] : out
  }

  #print(...lines: string[]): void {
    if (!this.#quiet) this.#out.push(...lines)
  }

  #runOne(command: Command): void {
    const handler = this.#handlers[command.verb]
    if (handler === undefined) throw new Error(`unknown command ${command.verb}`)
    handler(command)
  }

  #node(command: Command, at = 0): Node {
    return this.#cluster.get(Number(command.words[at]))
  }

  #nodes(command: Command): Node[] {
    if (command.words.length === 0) return this.#cluster.alive()
    return command.words.map(word => this.#cluster.get(Number(word)))
  }

  /** Runs what may be refused or break an invariant, and prints it. */
  #try(node: Node, action: () => unknown): void {
    try {
      const result = action()
      if (typeof result === 'string') this.#print(result)
    } catch (error) {
      this.#print(`error: ${(error as Error).message}`)
      return
    }
    this.#cluster.check(node)
  }

  readonly #handlers: Record<string, (command: Command) => void> = {
    'add-nodes': command => this.#addNodes(command),
    campaign: command => this.#try(this.#node(command), () => this.#node(command).core.campaign()),
    propose: command => {
      const node = this.#node(command)
      const data = command.words.slice(1).map(word => Buffer.from(word))
      this.#try(node, () => node.core.propose(data))
    },
    'propose-many': command => {
      const node = this.#node(command)
      const data = Array.from({ length: Number(command.words[1]) }, (_, i) => Buffer.from(`${i}`))
      this.#try(node, () => node.core.propose(data))
    },
    change: command => {
      const node = this.#node(command)
      const voters = ids(command.options.get('voters'))
      const learners = ids(command.options.get('learners'))
      this.#try(node, () => node.core.proposeMembership({ voters, learners }))
    },
    read: command => {
      const node = this.#node(command)
      const token = Number(command.words[1])
      this.#cluster.invariants.readAsked(token)
      this.#try(node, () => node.core.readIndex(token))
    },
    transfer: command => {
      const node = this.#node(command)
      this.#try(node, () => node.core.transferLeadership(Number(command.words[1])))
    },
    forget: command => this.#node(command).core.forgetLeader(Number(command.words[1])),
    unreachable: command => this.#node(command).core.reportUnreachable(Number(command.words[1])),
    'report-snapshot': command => {
      const [, peer, outcome, index] = command.words
      this.#node(command).core.reportSnapshot(Number(peer), outcome === 'ok', Number(index))
    },
    tick: command => {
      const node = this.#node(command)
      for (let i = 0; i < Number(command.words[1] ?? 1); i++) node.core.tick()
      this.#cluster.check(node)
    },
    'process-ready': command => {
      for (const node of this.#nodes(command)) this.#processReady(node)
    },
    'process-append': command => {
      const count = Number(command.options.get('count') ?? 1)
      for (const node of this.#nodes(command)) {
        for (let i = 0; i < count; i++) this.#processAppend(node)
      }
    },
    'process-apply': command => {
      for (const node of this.#nodes(command)) this.#processApply(node)
    },
    deliver: command => this.#deliver(command),
    drop: command => {
      const dropped = this.#takeWire(command)
      this.#print(...dropped.map(message => `dropped ${printMessage(message)}`))
    },
    hold: command => {
      const held = this.#takeWire(command)
      this.#held.push(...held)
      this.#print(...held.map(message => `held ${printMessage(message)}`))
    },
    release: () => {
      this.#cluster.wire.unshift(...this.#held)
      this.#held = []
    },
    send: command => this.#inject(command),
    cut: command => {
      for (const from of ids(command.options.get('from'))) {
        for (const to of ids(command.options.get('to'))) this.#cluster.cut.add(`${from}>${to}`)
      }
    },
    isolate: command => this.#isolate(Number(command.words[0])),
    heal: () => this.#cluster.cut.clear(),
    stabilize: command => this.#stabilize(command),
    run: command => this.#runTicks(command),
    compact: command => {
      const node = this.#node(command)
      this.#cluster.compact(node, Number(command.words[1]))
    },
    crash: command => {
      for (const node of this.#nodes(command)) {
        this.#cluster.crash(node, Number(command.options.get('kept') ?? 0))
      }
    },
    restart: command => {
      const node = this.#node(command)
      const damaged = command.options.get('damagedFrom')
      if (damaged !== undefined) {
        node.disk.loseFrom(Number(damaged))
        node.quarantined = true
      }
      this.#cluster.start(node)
    },
    status: command => {
      for (const node of this.#nodes(command)) this.#print(...printStatus(node.core.status()))
    },
    log: command => {
      for (const node of this.#nodes(command)) {
        const { disk } = node
        const entries = disk.entries(disk.firstIndex(), disk.lastIndex() + 1, 1 << 30)
        this.#print(`${node.id} log ${printEntries(entries)}`)
      }
    },
    wire: () => this.#print(...this.#cluster.wire.map(printMessage)),
    quiet: () => {
      this.#quiet = true
    },
    loud: () => {
      this.#quiet = false
    },
    expect: command => this.#expect(command)
  }

  #addNodes(command: Command): void {
    const count = Number(command.words[0])
    const start = this.#cluster.nodes.size + 1
    const all = Array.from({ length: count }, (_, i) => start + i)
    const { options } = command
    const voters = options.has('voters') ? ids(options.get('voters')) : all
    const membership = { voters, outgoing: [], learners: ids(options.get('learners')) }
    const config: Record<string, number | boolean> = {}
    for (const [key, value] of options) {
      if (key in defaultConfig)
        config[key] = value === 'true' || (value !== 'false' && Number(value))
    }
    for (const id of all) {
      const index = Number(options.get('index') ?? 0)
      this.#cluster.add(id, membership, config as Partial<RaftConfig>, index)
    }
  }

  #processReady(node: Node): void {
    if (!node.core.hasReady()) return
    const lines = printReady(this.#cluster.processReady(node))
    if (lines.length > 0) this.#print(`> ${node.id} ready`, ...lines.map(line => `  ${line}`))
  }

  #processAppend(node: Node): void {
    const [waiting] = node.waiting
    if (waiting === undefined) return
    const before = this.#cluster.wire.length
    this.#cluster.processAppend(node)
    if (waiting.ack !== undefined) {
      this.#print(`> ${node.id} write ${waiting.ack.sequence} durable`)
      for (const message of this.#cluster.wire.slice(before)) {
        this.#print(`  sent ${printMessage(message)}`)
      }
    } else if (waiting.done !== undefined) {
      this.#print(`> ${node.id} snapshot installed`)
    }
  }

  #processApply(node: Node): void {
    for (const entry of this.#cluster.processApply(node)) {
      this.#print(`> ${node.id} applies ${printEntry(entry)}`)
    }
  }

  #matches(command: Command, message: RaftMessage): boolean {
    const { options } = command
    const from = ids(options.get('from'))
    const to = ids(options.get('to'))
    const type = options.get('type')
    if (from.length > 0 && !from.includes(message.from)) return false
    if (to.length > 0 && !to.includes(message.to)) return false
    return type === undefined || type === message.type
  }

  #takeWire(command: Command): RaftMessage[] {
    const taken = this.#cluster.wire.filter(message => this.#matches(command, message))
    this.#cluster.wire = this.#cluster.wire.filter(message => !taken.includes(message))
    return taken
  }

  #deliver(command: Command): void {
    const drop = ids(command.options.get('drop'))
    const to = command.words.map(Number)
    const due = this.#takeWire(command).filter(message => {
      if (to.length === 0 || to.includes(message.to)) return true
      this.#cluster.wire.push(message)
      return false
    })
    for (const message of due) {
      if (drop.includes(message.from)) this.#print(`dropped ${printMessage(message)}`)
      else this.#receive(message)
    }
  }

  #receive(message: RaftMessage): void {
    const node = this.#cluster.nodes.get(message.to)
    if (node?.raft === undefined) {
      this.#print(`lost ${printMessage(message)}`)
      return
    }
    this.#print(printMessage(message))
    this.#try(node, () => this.#cluster.deliver(message))
  }

  /** A hand-made message: `send vote from=3 to=1 term=9 lastIndex=4 lastTerm=2 force=true`. */
  #inject(command: Command): void {
    const type = command.words[0] as RaftMessage['type']
    const message: Record<string, unknown> & { entries?: unknown; prevIndex?: unknown } = {
      type,
      force: false,
      granted: false,
      rejected: false,
      quarantined: false,
      entries: [],
      lastIndex: 0,
      lastTerm: 0,
      prevIndex: 0,
      prevTerm: 0,
      commit: 0,
      commitTerm: 0,
      index: 0,
      hintIndex: 0,
      hintTerm: 0,
      round: 0,
      token: 0
    }
    for (const [key, value] of command.options) {
      if (key !== 'entries') message[key] = value === 'true' || Number(value)
    }
    // entries=(term:data term:data …), following prevIndex.
    const entries = (command.options.get('entries') ?? '').replace(/[()]/g, '').trim()
    if (entries !== '') {
      message.entries = entries.split(/\s+/).map((text, i) => {
        const [term, data] = text.split(':')
        const index = Number(message.prevIndex) + 1 + i
        return { index, term: Number(term), kind: 0, data: Buffer.from(data ?? '') }
      })
    }
    this.#receive(message as unknown as RaftMessage)
  }

  #isolate(id: ReplicaId): void {
    for (const other of this.#cluster.nodes.keys()) {
      this.#cluster.cut.add(`${id}>${other}`)
      this.#cluster.cut.add(`${other}>${id}`)
    }
    const { wire } = this.#cluster
    this.#cluster.wire = wire.filter(message => message.from !== id && message.to !== id)
  }

  /** Everything the given replicas can do without the others and without time. */
  #stabilize(command: Command): void {
    const nodes = this.#nodes(command)
    const members = nodes.map(node => node.id)
    for (let round = 0; round < 10_000; round++) {
      let busy = false
      for (const node of nodes) {
        if (node.raft === undefined) continue
        while (!node.installing && node.raft.hasReady()) {
          this.#processReady(node)
          busy = true
        }
        while (node.waiting.length > 0) {
          this.#processAppend(node)
          busy = true
        }
        if (node.applyQueue.length > 0) {
          this.#processApply(node)
          busy = true
        }
      }
      const due = this.#cluster.wire.filter(message => members.includes(message.to))
      this.#cluster.wire = this.#cluster.wire.filter(message => !members.includes(message.to))
      for (const message of due) this.#receive(message)
      if (!busy && due.length === 0) return
    }
    throw new Error('does not come to rest')
  }

  /**
   * `run 50`: so many ticks for everybody who is up, coming to rest after each; `ids=(1 2)` ticks
   * only those.
   */
  #runTicks(command: Command): void {
    const quiet = this.#quiet
    this.#quiet = true
    const only = ids(command.options.get('ids'))
    for (let i = 0; i < Number(command.words[0]); i++) {
      for (const node of this.#cluster.alive()) {
        if (only.length > 0 && !only.includes(node.id)) continue
        if (!node.installing) node.core.tick()
      }
      this.#stabilize({ verb: 'stabilize', words: [], options: new Map() })
    }
    this.#quiet = quiet
  }

  /** Fails the test whatever the golden trace says: `expect 1 role=leader commit=12`. */
  #expect(command: Command): void {
    const node = this.#node(command)
    if (command.options.get('down') === 'true') {
      if (node.raft !== undefined) throw new Error(`${node.id} is up`)
      return
    }
    const { membership, progress, ...status } = node.core.status()
    const facts: Record<string, unknown> = {
      ...status,
      voters: `(${membership.voters})`,
      outgoing: `(${membership.outgoing})`,
      learners: `(${membership.learners})`,
      hash: node.rows.hash,
      log: node.disk
        .entries(node.disk.firstIndex(), node.disk.lastIndex() + 1, 1 << 30)
        .map(entry => `${entry.term}/${entry.index}`)
        .join(','),
      reads: node.reads.map(read => `${read.token}@${read.index}`).join(','),
      droppedReads: node.droppedReads.join(',')
    }
    for (const member of progress) {
      facts[`${member.id}.state`] = member.state
      facts[`${member.id}.match`] = member.match
      facts[`${member.id}.active`] = member.active
    }
    for (const [key, wanted] of command.options) {
      // `hash=@2`: the same state as replica 2.
      const target = wanted.startsWith('@')
        ? String(this.#cluster.get(Number(wanted.slice(1))).rows.hash)
        : wanted
      const found = String(facts[key])
      if (found !== target) {
        throw new Error(`expected ${node.id} ${key}=${target} but it is ${found}`)
      }
    }
  }
}
