import { crc32OfString } from '../base/crc32.ts'
import type { Clock } from '../base/ports.ts'
import { type EndpointId, logicEndpoint } from '../protocol/endpoint.ts'
import { GreyRules } from '../table/grey-rules.ts'
import type { GreyRule } from '../table/table.ts'
import type { TableView } from '../table/table-view.ts'

/** After an attempt without an answer, or one that could not be sent, a logic is passed over for this long. */
const suspectMs = 2_000

interface Candidate {
  readonly endpoint: EndpointId
  readonly local: boolean
  readonly version: string
  down: boolean
  suspectUntilMs: number
}

const unknownBefore = { down: false, suspectUntilMs: 0 }
const noRules: readonly GreyRule[] = []

/**
 * What speaks against a logic. The version that a rule wants weighs more than to go elsewhere after a refusal, and less than a sign that
 * the logic is not there: a rule must never keep a user from being served.
 */
const penalties = { remote: 1, avoid: 2, version: 4, suspect: 8, down: 16 } as const

/**
 * Chooses a logic of the transfer's set: of the version that the table's rules want for the user; one in the same process first, of the
 * others always the same for a user, whose messages would else overtake each other on two ways; suspects last.
 */
export class LogicPicker {
  readonly #env: Clock & { table(): TableView }
  readonly #setId: string
  readonly #nodeId: string
  #candidates: Candidate[] = []
  #ruled = noRules
  #rules = new GreyRules(noRules)

  constructor(env: Clock & { table(): TableView }, setId: string, nodeId: string) {
    this.#env = env
    this.#setId = setId
    this.#nodeId = nodeId
    this.onTable()
  }

  onTable(): void {
    const view = this.#env.table()
    const { grey = noRules } = view.table ?? {}
    if (grey !== this.#ruled) {
      this.#ruled = grey
      this.#rules = new GreyRules(grey)
    }
    const known = new Map(this.#candidates.map(candidate => [candidate.endpoint, candidate]))
    this.#candidates = []
    for (const { id, nodeId, state, version } of view.set(this.#setId)?.logics ?? []) {
      const local = nodeId === this.#nodeId
      // One in this process is there whatever the arbiter has heard of it so far.
      if (state !== 'up' && !(local && state === 'down')) continue
      const endpoint = logicEndpoint(id)
      const { down, suspectUntilMs } = known.get(endpoint) ?? unknownBefore
      this.#candidates.push({ endpoint, local, version, down, suspectUntilMs })
    }
  }

  onPeer(peer: EndpointId, up: boolean): void {
    for (const candidate of this.#candidates) {
      if (candidate.endpoint !== peer) continue
      candidate.down = !up
      if (up) candidate.suspectUntilMs = 0
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
  pick(uid: string, avoid: EndpointId): EndpointId | undefined {
    const now = this.#env.nowMs()
    const rules = this.#rules
    const match = rules.of(uid)
    let best: Candidate | undefined
    let bestRank = Number.POSITIVE_INFINITY
    for (const candidate of this.#candidates) {
      let rank = candidate.local ? 0 : penalties.remote
      if (candidate.endpoint === avoid) rank += penalties.avoid
      if (!rules.none && !rules.fits(candidate.version, match)) rank += penalties.version
      if (candidate.suspectUntilMs > now) rank += penalties.suspect
      if (candidate.down) rank += penalties.down
      if (rank > bestRank || (rank === bestRank && !outweighs(uid, candidate, best!))) continue
      best = candidate
      bestRank = rank
    }
    return best?.endpoint
  }

  /** Whether that logic is of another version than the rules want for the user. */
  isStandIn(uid: string, endpoint: EndpointId): boolean {
    const rules = this.#rules
    if (rules.none) return false
    const logic = this.#candidates.find(candidate => candidate.endpoint === endpoint)
    return logic !== undefined && !rules.fits(logic.version, rules.of(uid))
  }
}

function outweighs(uid: string, one: Candidate, other: Candidate): boolean {
  return weightOf(uid, one.endpoint) > weightOf(uid, other.endpoint)
}

/** Rendezvous hashing (Thaler and Ravishankar, 1998): the highest wins, so that only the users of a logic that goes or comes change theirs. */
function weightOf(uid: string, endpoint: EndpointId): number {
  const sum = crc32OfString(`${uid} ${endpoint}`)
  // Sums of texts that differ in one place differ by the same bits for every user; these are mixed.
  const mixed = Math.imul(sum ^ (sum >>> 16), 0x85ebca6b)
  return Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) >>> 0
}
