import type { Log, LogFacts, Metrics } from '../../src/base/ports.ts'
import { Prng } from '../../src/base/prng.ts'
import type { EndpointId } from '../../src/protocol/endpoint.ts'
import type { Packet } from '../../src/protocol/packet.ts'
import type { RoleEnv } from '../../src/protocol/role.ts'
import { emptyTableView } from '../../src/table/compile-table.ts'
import type { TableView } from '../../src/table/table-view.ts'

export interface SentPacket {
  readonly to: EndpointId
  readonly packet: Packet
  /** Of the process's table at that moment, as the link would stamp it. */
  readonly epoch: number
}

/**
 * A role's world under a test's control: a clock that stands still, and a list of what was sent.
 */
export class FakeRoleEnv implements RoleEnv {
  readonly self: EndpointId
  readonly bootId: number
  readonly random: Prng
  readonly sent: SentPacket[] = []
  readonly events: { event: string; facts: LogFacts }[] = []
  readonly counts = new Map<string, number>()
  now = 1_000
  /** What was asked of `flushIn`. */
  readonly flushesIn: number[] = []
  /** Sends to these endpoints are dropped. */
  readonly unreachable = new Set<EndpointId>()
  view: () => TableView = () => emptyTableView

  constructor(self: EndpointId, bootId = 1, seed = 1) {
    this.self = self
    this.bootId = bootId
    this.random = new Prng(seed, self)
  }

  nowMs(): number {
    return this.now
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.now
  }

  send(to: EndpointId, packet: Packet): boolean {
    if (this.unreachable.has(to)) return false
    this.sent.push({ to, packet, epoch: this.table().epoch })
    return true
  }

  table(): TableView {
    return this.view()
  }

  flushIn(delayMs: number): void {
    this.flushesIn.push(delayMs)
  }

  /** Takes what was sent since the last call. */
  take(): SentPacket[] {
    return this.sent.splice(0)
  }

  readonly log: Log = {
    debug: (event, facts = {}) => this.#note(event, facts),
    info: (event, facts = {}) => this.#note(event, facts),
    warn: (event, facts = {}) => this.#note(event, facts),
    error: (event, facts = {}) => this.#note(event, facts)
  }

  readonly metrics: Metrics = {
    count: (name, amount = 1) => {
      this.counts.set(name, (this.counts.get(name) ?? 0) + amount)
    },
    gauge() {},
    observe() {}
  }

  #note(event: string, facts: LogFacts): void {
    this.events.push({ event, facts })
  }
}
