import type { Clock } from '../base/ports.ts'
import { type EndpointId, logicEndpoint } from '../protocol/endpoint.ts'
import type { TableView } from '../table/table-view.ts'

/** After an attempt without an answer a logic is passed over for this long. */
const suspectMs = 2_000

interface Candidate {
  readonly endpoint: EndpointId
  readonly local: boolean
  down: boolean
  suspectUntilMs: number
}

/**
 * Chooses a logic of the transfer's set: one in the same process first, then the others in turn;
 * suspects last.
 */
export class LogicPicker {
  readonly #env: Clock & { table(): TableView }
  readonly #setId: string
  readonly #nodeId: string
  #candidates: Candidate[] = []
  #next = 0

  constructor(env: Clock & { table(): TableView }, setId: string, nodeId: string) {
    this.#env = env
    this.#setId = setId
    this.#nodeId = nodeId
    this.onTable()
  }

  onTable(): void {
    const known = new Map(this.#candidates.map(candidate => [candidate.endpoint, candidate]))
    this.#candidates = []
    for (const { id, nodeId, state } of this.#env.table().set(this.#setId)?.logics ?? []) {
      const local = nodeId === this.#nodeId
      // One in this process is there whatever the arbiter has heard of it so far.
      if (state !== 'up' && !(local && state === 'down')) continue
      const endpoint = logicEndpoint(id)
      const { down, suspectUntilMs } = known.get(endpoint) ?? { down: false, suspectUntilMs: 0 }
      this.#candidates.push({ endpoint, local, down, suspectUntilMs })
    }
  }

  onPeer(peer: EndpointId, up: boolean): void {
    for (const candidate of this.#candidates) {
      if (candidate.endpoint === peer) candidate.down = !up
    }
  }

  answered(endpoint: EndpointId): void {
    for (const candidate of this.#candidates) {
      if (candidate.endpoint === endpoint) candidate.suspectUntilMs = 0
    }
  }

  failed(endpoint: EndpointId): void {
    for (const candidate of this.#candidates) {
      if (candidate.endpoint === endpoint) {
        candidate.suspectUntilMs = this.#env.nowMs() + suspectMs
      }
    }
  }

  /** @param avoid taken only when there is no other. */
  pick(avoid: EndpointId): EndpointId | undefined {
    const now = this.#env.nowMs()
    const count = this.#candidates.length
    const start = this.#next
    let best: Candidate | undefined
    let bestRank = Number.POSITIVE_INFINITY
    for (let i = 0; i < count; i++) {
      const candidate = this.#candidates[(start + i) % count]!
      let rank = candidate.local ? 0 : 1
      if (candidate.suspectUntilMs > now) rank += 2
      if (candidate.endpoint === avoid) rank += 4
      if (candidate.down) rank += 8
      if (rank >= bestRank) continue
      best = candidate
      bestRank = rank
    }
    if (bestRank !== 0) this.#next = count === 0 ? 0 : (start + 1) % count
    return best?.endpoint
  }
}
