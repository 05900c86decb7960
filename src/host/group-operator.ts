import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import type { MemberChange, Members } from '../control/control-source.ts'
import type { MembershipTarget } from '../raft/membership.ts'
import { successorOf, withLearner, without, withVoter } from '../raft/operator-rules.ts'
import type { RaftStatus, Refusal } from '../raft/raft-api.ts'
import type { ReplicaApi } from '../raft/replica-api.ts'
import type { ReplicaId } from '../raft/types.ts'

/** How a planned change of leader went. */
export interface HandOver {
  readonly from: ReplicaId
  readonly to: ReplicaId
  readonly term: number
  /** How long the group took no requests, as the former leader saw it; 0 when it led already. */
  readonly gapMs: number
}

export interface OperatorPorts {
  nowMs(): number
  /** Lets the replica work for a moment. */
  pause(): Promise<void>
  /** The replica has something to flush. */
  wake(): void
}

const handOverMs = 3_000
const changeMs = 5_000

const targets: Record<
  MemberChange,
  (status: RaftStatus, id: ReplicaId) => MembershipTarget | undefined
> = { add: withLearner, promote: withVoter, remove: without }

/** Carries out what an operator asks of a group, at the replica that leads it, and waits until it is done. */
export class GroupOperator {
  readonly #replica: ReplicaApi
  readonly #ports: OperatorPorts

  constructor(replica: ReplicaApi, ports: OperatorPorts) {
    this.#replica = replica
    this.#ports = ports
  }

  /** Throws what `successorOf` throws, and HAND_OVER_FAILED. */
  async transfer(to: ReplicaId | undefined): Promise<HandOver> {
    const before = this.#replica.status()
    const target = successorOf(before, to)
    const { id: from, term } = before
    if (target === from) return { from, to: from, term, gapMs: 0 }
    const startMs = this.#ports.nowMs()
    this.#started(this.#replica.transferLeadership(target))
    for (;;) {
      const now = this.#replica.status()
      const gapMs = this.#ports.nowMs() - startMs
      // Proposals were refused from the start on, so what is committed beyond is the opening of the new leader's term.
      if (now.role !== 'leader' && now.leader !== 0 && now.commit > before.lastIndex) {
        return { from, to: now.leader, term: now.term, gapMs }
      }
      const givenUp = now.role === 'leader' && now.transferringTo !== target
      if (givenUp || gapMs > handOverMs) {
        const text = `replica ${target} did not take over within ${Math.round(gapMs)} ms`
        throw new RingsetError('HAND_OVER_FAILED', text, { from, to: target })
      }
      await this.#ports.pause()
    }
  }

  /** Throws what the rule of the change throws, PROPOSAL_DROPPED when leadership was lost meanwhile, TIMEOUT. */
  async change(change: MemberChange, id: ReplicaId): Promise<Members & { changed: boolean }> {
    const target = targets[change](this.#replica.status(), id)
    if (target === undefined) return { changed: false, ...membersOf(this.#replica.status()) }
    const { term } = this.#replica.status()
    this.#started(this.#replica.changeMembers(target))
    const endMs = this.#ports.nowMs() + changeMs
    for (;;) {
      const now = this.#replica.status()
      if (now.role !== 'leader' || now.term !== term) {
        throw new RingsetError('PROPOSAL_DROPPED', 'leadership was lost during the change')
      }
      if (!now.changing) return { changed: true, ...membersOf(now) }
      if (this.#ports.nowMs() > endMs) {
        const text = `the change is not through after ${changeMs} ms: no majority answers`
        throw new RingsetError('TIMEOUT', text)
      }
      await this.#ports.pause()
    }
  }

  #started(refusal: Refusal | undefined): void {
    if (refusal !== undefined) {
      throw new RingsetError(codeOf[refusal], `the group refused: ${refusal}`, { refusal })
    }
    this.#ports.wake()
  }
}

const codeOf: Record<Refusal, ErrorCode> = {
  notLeader: 'NOT_LEADER',
  transferring: 'CHANGE_PENDING',
  changePending: 'CHANGE_PENDING',
  notReady: 'CHANGE_PENDING',
  notMember: 'REPLICA_UNKNOWN',
  unsafe: 'QUORUM_AT_RISK',
  overloaded: 'OVERLOADED'
}

function membersOf({ membership }: RaftStatus): Members {
  return { voters: [...membership.voters], learners: [...membership.learners] }
}
