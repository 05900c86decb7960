import type { ClusterConfig } from './schema.ts'

/** The `raft` section as the Raft core wants it: times in ticks. */
export interface RaftSettings {
  readonly electionTicks: number
  readonly heartbeatTicks: number
  readonly recampaignTicks: number
  readonly checkQuorumTicks: number
  readonly transferTicks: number
  readonly maxInflightMessages: number
  readonly maxInflightBytes: number
  readonly maxMessageBytes: number
  readonly maxUncommittedBytes: number
  readonly preVote: true
  readonly checkQuorum: true
}

/** Pre-vote and check-quorum have no switch: without them one flapping link unseats every leader. */
export function raftSettings({ raft }: Pick<ClusterConfig, 'raft'>): RaftSettings {
  const ticks = (timeMs: number) => Math.ceil(timeMs / raft.tickMs)
  return {
    electionTicks: ticks(raft.electionMinMs),
    heartbeatTicks: ticks(raft.heartbeatMs),
    recampaignTicks: ticks(raft.recampaignMinMs),
    checkQuorumTicks: ticks(raft.checkQuorumMs),
    transferTicks: ticks(raft.transferMs),
    maxInflightMessages: raft.inflightMessages,
    maxInflightBytes: raft.inflightBytes,
    maxMessageBytes: raft.messageBytes,
    maxUncommittedBytes: raft.uncommittedBytes,
    preVote: true,
    checkQuorum: true
  }
}
