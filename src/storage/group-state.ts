import type { HardState, Membership, StandingRecord } from '../raft/types.ts'
import type { GroupLog } from './group-log.ts'
import type { GroupKeys } from './keys.ts'
import type { Install } from './state-codec.ts'

/** What recovery found, or nothing at all, for a group. */
export interface GroupState {
  readonly name: string
  readonly keys: GroupKeys
  readonly log: GroupLog
  hardState: HardState
  applied: number
  generation: number
  membership: Membership | undefined
  install: Install | undefined
  quarantine: string | undefined
  standing: StandingRecord | undefined
  /** Above every generation that has rows in the database. */
  nextGeneration: number
}
