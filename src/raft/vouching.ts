import type { Log, Random } from '../base/ports.ts'
import { jointVote } from './quorum.ts'
import type { GroupStore } from './store.ts'
import type {
  DurableMark,
  Founder,
  Membership,
  PeerRecord,
  RaftMessage,
  ReplicaId,
  Standing,
  StandingRecord,
  Verdict
} from './types.ts'

export interface VouchingPorts {
  readonly id: ReplicaId
  readonly store: GroupStore
  /** Voters of a group that has never run. */
  readonly founders: readonly ReplicaId[]
  /** As it starts. */
  readonly membership: Membership
  readonly random: Random
  readonly log: Log
  /** As of now. */
  members(): Membership
  /** The highest index that a peer acknowledged to this replica in its term, while it leads. */
  acknowledged(peer: ReplicaId): number
  send(message: RaftMessage): void
  /** This replica may take part from now on. */
  trust(): void
  /** It may not any more, until a leader has healed it. */
  distrust(): void
}

type Claim = Extract<RaftMessage, { type: 'claim' }>
type ClaimAnswer = Extract<RaftMessage, { type: 'claimAnswer' }>

const nothing: DurableMark = { term: 0, lastTerm: 0, lastIndex: 0 }

/** Ticks between two claims of a replica that takes no part yet, and between two marks of one that does. */
const claimEveryTicks = 5
const markEveryTicks = 50

/**
 * Keeps a replica from taking part with less than it once had. A disk that is empty, or an older copy of itself, looks sound from
 * within: only others can tell. So everybody remembers how far each peer was durable, and who starts claims what it has.
 *
 * - A `returning` one takes part once a majority, itself included, remembers nothing newer of it.
 * - A `new` one takes part when it was met at the founding, else when a leader has healed it.
 * - The founding: the founder of the lowest number meets all others, and all are new. Then nobody can have promised anything.
 *
 * docs/adr/0007-peers-vouch-for-a-replica.md has the reasons, and what can still go unnoticed.
 */
export class Vouching {
  readonly #ports: VouchingPorts
  readonly #start: DurableMark
  /** Binds answers to this life, and to a round of the founding. */
  #token: number
  readonly #peers = new Map<ReplicaId, PeerRecord>()
  #standing: Standing
  #incarnation: number
  #member: boolean
  /** On its way to the disk: that it was met at the founding. */
  #joining = false
  #now: DurableMark
  #told: DurableMark
  #recordsChanged = false
  #claimTicks = claimEveryTicks
  #markTicks = 0
  /** Not once a leader has healed it, or it was met at the founding: it has nothing from before. */
  #startMatters = true
  /** Who has nothing newer of this replica than what it started with. */
  readonly #sound = new Map<ReplicaId, true>()
  /** The founder's: who is new, and with which incarnation; and who said so when all of that was known. */
  readonly #met = new Map<ReplicaId, number>()
  readonly #confirmed = new Set<ReplicaId>()

  constructor(ports: VouchingPorts) {
    const { store, random, membership } = ports
    const { standing, quarantine, hardState } = store.recovered
    this.#ports = ports
    this.#token = random.id48()
    this.#incarnation = standing?.incarnation ?? random.id48()
    for (const peer of standing?.peers ?? []) this.#peers.set(peer.id, peer)
    const lastIndex = store.lastIndex()
    // A log without a record is of a version that kept none.
    this.#member = standing?.member ?? lastIndex > 0
    this.#start = { term: hardState.term, lastTerm: store.term(lastIndex) ?? 0, lastIndex }
    this.#now = this.#start
    this.#told = this.#start
    if (quarantine !== undefined) this.#standing = 'waiting'
    else if (!this.#member) this.#standing = lastIndex > 0 ? 'waiting' : 'new'
    else this.#standing = this.#vouchedFor(membership) ? 'member' : 'returning'
    if (standing === undefined) this.#write(true, () => {})
  }

  get standing(): Standing {
    return this.#standing
  }

  /** It does not know what it once promised: see `readForPeer`. */
  get amnesiac(): boolean {
    return !this.#member || this.#standing === 'returning'
  }

  /** This much is durable here by now. */
  reached(term: number, lastTerm: number, lastIndex: number): void {
    this.#now = { term, lastTerm, lastIndex }
  }

  /** `ticks` have passed. */
  tick(ticks: number): void {
    this.#claimTicks += ticks
    this.#markTicks += ticks
    if (this.#claims() && this.#claimTicks >= claimEveryTicks) {
      this.#claimTicks = 0
      if (this.#standing === 'new' && this.#mayFound()) this.#found()
      this.#claimAll()
    }
    if (this.#markTicks >= markEveryTicks) {
      this.#markTicks = 0
      this.#mark()
    }
  }

  peerUp(id: ReplicaId): void {
    if (this.#claims()) this.#claim(id, this.#token, this.#start)
  }

  #onClaim(claim: Claim): void {
    const evidence = this.#evidence(claim)
    const verdict = this.#judge(claim, evidence)
    if (verdict === 'sound' && claim.standing !== 'new') this.#remember(claim)
    if (claim.token === 0) return
    this.#ports.send({
      type: 'claimAnswer',
      from: this.#ports.id,
      to: claim.from,
      term: this.#now.term,
      token: claim.token,
      verdict,
      evidence,
      standing: this.#standing,
      incarnation: this.#incarnation,
      founders: claim.standing === 'new' && verdict === 'sound' ? this.#founders() : []
    })
  }

  #onAnswer(answer: ClaimAnswer): void {
    if (answer.token !== this.#token || this.#standing === 'waiting') return
    if (this.#mayFound()) this.#meet(answer)
    if (this.#standing !== 'new') this.#onVerdict(answer)
    else if (answer.verdict === 'sound') {
      this.#rememberFounders(answer.founders)
      this.#join()
    }
  }

  /** A leader has brought this replica up to date. @returns what is to be written along with it. */
  healed(): StandingRecord {
    this.#takePart()
    return this.#record()
  }

  step(message: Claim | ClaimAnswer): void {
    if (message.type === 'claim') this.#onClaim(message)
    else this.#onAnswer(message)
  }

  #claims(): boolean {
    return this.#standing === 'new' || this.#standing === 'returning' || this.#mayFound()
  }

  #claimAll(): void {
    for (const id of this.#others()) this.#claim(id, this.#token, this.#start)
  }

  #judge(claim: Claim, evidence: DurableMark): Verdict {
    if (this.#standing === 'new' || this.#standing === 'waiting') return 'unknown'
    if (claim.standing === 'waiting') return 'unknown'
    const { incarnation } = this.#peers.get(claim.from) ?? {}
    if (claim.standing === 'new' && incarnation !== claim.incarnation) return 'lost'
    return isBehind(claim, evidence) ? 'lost' : 'sound'
  }

  /** The farthest that the claimant was, as far as this replica knows. */
  #evidence({ from, standing }: Claim): DurableMark {
    const { term, lastTerm, lastIndex } = this.#peers.get(from) ?? nothing
    const told = { term, lastTerm, lastIndex }
    const index = standing === 'returning' ? this.#ports.acknowledged(from) : 0
    if (index === 0) return told
    const counted = {
      term: this.#now.term,
      lastTerm: this.#ports.store.term(index) ?? this.#now.lastTerm,
      lastIndex: index
    }
    return isBehind(told, counted) ? counted : told
  }

  #remember({ from: id, term, lastTerm, lastIndex }: Claim): void {
    const known = this.#peers.get(id)
    const mark = { term, lastTerm, lastIndex }
    if (known !== undefined && !isBehind(known, mark)) return
    this.#peers.set(id, { id, incarnation: known?.incarnation ?? 0, ...mark })
    this.#recordsChanged = true
  }

  #onVerdict({ from, verdict, evidence }: ClaimAnswer): void {
    if (verdict === 'unknown' || !this.#startMatters || this.#sound.has(from)) return
    // A claim that was long on its way: the witness speaks of what this replica has done since. Or it has all again that it had lost.
    const moot = this.#standing === 'member' && !isBehind(this.#now, evidence)
    if (verdict === 'lost' && !moot) {
      this.#forgetAll(from)
      return
    }
    this.#sound.set(from, true)
    if (this.#standing !== 'returning' || !this.#vouchedFor(this.#ports.members())) return
    this.#standing = 'member'
    this.#ports.trust()
  }

  /** Evidence that comes late counts, too. */
  #forgetAll(witness: ReplicaId): void {
    this.#ports.log.error('replica_behind_itself', { witness, ...this.#start })
    this.#member = false
    this.#standing = 'waiting'
    // That this replica was met at the founding does not speak for it any more.
    this.#incarnation = this.#ports.random.id48()
    this.#write(true, () => {})
    this.#ports.distrust()
  }

  #vouchedFor({ voters, outgoing }: Membership): boolean {
    const votes = new Map<ReplicaId, boolean>(this.#sound).set(this.#ports.id, true)
    return jointVote(voters, outgoing, votes) === 'won'
  }

  /** Also again: others that were met and have lost their disks since, as long as nothing has come of the founding. */
  #mayFound(): boolean {
    if (this.#joining || this.#standing === 'waiting') return false
    if (this.#now.lastIndex > 0 || (this.#member && this.#now.term > 0)) return false
    return this.#ports.id === Math.min(...this.#ports.founders)
  }

  /**
   * Everybody has to say that it is new after all incarnations are known: else one of them might have taken part meanwhile, by an
   * earlier founding, together with a disk that is gone by now.
   */
  #meet({ from, standing, incarnation }: ClaimAnswer): void {
    if (standing !== 'new') {
      this.#met.delete(from)
      this.#confirmed.clear()
    } else if (this.#met.get(from) === incarnation) {
      this.#confirmed.add(from)
      this.#found()
    } else {
      this.#met.set(from, incarnation)
      this.#confirmed.clear()
      this.#token = this.#ports.random.id48()
      if (this.#met.size === this.#ports.founders.length - 1) this.#claimAll()
    }
  }

  #found(): void {
    const { founders, id, log } = this.#ports
    const others = founders.filter(founder => founder !== id)
    if (!others.every(other => this.#confirmed.has(other))) return
    this.#rememberFounders(others.map(other => ({ id: other, incarnation: this.#met.get(other)! })))
    this.#confirmed.clear()
    this.#token = this.#ports.random.id48()
    log.info('group_founded', { founders: founders.join(' ') })
    this.#join()
  }

  #founders(): Founder[] {
    return [...this.#peers.values()].filter(({ incarnation }) => incarnation !== 0)
  }

  /** So that any of them can speak for another when the founder is gone. */
  #rememberFounders(founders: readonly Founder[]): void {
    for (const { id, incarnation } of founders) {
      if (id === this.#ports.id) continue
      const { term, lastTerm, lastIndex } = this.#peers.get(id) ?? nothing
      this.#peers.set(id, { id, incarnation, term, lastTerm, lastIndex })
    }
  }

  /** Takes part once the disk knows. */
  #join(): void {
    if (this.#joining) return
    this.#joining = true
    this.#write(true, () => {
      this.#joining = false
      if (this.#standing === 'waiting') return
      this.#takePart()
      this.#ports.trust()
    })
  }

  #takePart(): void {
    this.#member = true
    this.#standing = 'member'
    this.#startMatters = false
  }

  #mark(): void {
    if (this.#recordsChanged) {
      this.#recordsChanged = false
      this.#write(false, () => {})
    }
    if (this.#standing !== 'member') return
    const told = this.#told
    this.#told = this.#now
    for (const id of this.#others()) {
      const unheard = this.#startMatters && !this.#sound.has(id)
      if (unheard) this.#claim(id, this.#token, this.#start)
      else if (isBehind(told, this.#now)) this.#claim(id, 0, this.#now)
    }
  }

  #claim(to: ReplicaId, token: number, mark: DurableMark): void {
    this.#ports.send({
      type: 'claim',
      from: this.#ports.id,
      to,
      token,
      standing: this.#standing,
      incarnation: this.#incarnation,
      ...mark
    })
  }

  #others(): ReplicaId[] {
    const { voters, outgoing, learners } = this.#ports.members()
    const all = new Set([...voters, ...outgoing, ...learners])
    all.delete(this.#ports.id)
    return [...all]
  }

  #record(): StandingRecord {
    return {
      incarnation: this.#incarnation,
      member: this.#member || this.#joining,
      peers: [...this.#peers.values()]
    }
  }

  #write(sync: boolean, done: () => void): void {
    this.#ports.store.write({ standing: this.#record(), sync }, done)
  }
}

/** Terms and logs only ever grow (Raft §5.4.1 compares logs so). */
function isBehind(mark: DurableMark, other: DurableMark): boolean {
  if (mark.term < other.term || mark.lastTerm < other.lastTerm) return true
  return mark.lastTerm === other.lastTerm && mark.lastIndex < other.lastIndex
}
