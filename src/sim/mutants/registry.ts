import { membershipMutants } from './membership.ts'
import type { Mutant } from './mutant.ts'
import { presenceMutants } from './presence.ts'
import { logMutants } from './raft-log.ts'
import { readMutants } from './raft-reads.ts'
import { voteMutants } from './raft-votes.ts'
import { channelMutants } from './router-channels.ts'
import { messageMutants } from './router-messages.ts'
import { moveMutants } from './slot-moves.ts'
import { storageMutants } from './storage.ts'
import { tableMutants } from './table.ts'
import { transferMutants } from './transfer.ts'

/** Every rule that can be broken on purpose. */
export const mutants: readonly Mutant[] = [
  ...voteMutants,
  ...logMutants,
  ...membershipMutants,
  ...readMutants,
  ...storageMutants,
  ...messageMutants,
  ...channelMutants,
  ...moveMutants,
  ...presenceMutants,
  ...transferMutants,
  ...tableMutants
]

export function mutantNamed(name: string): Mutant {
  return mutants.find(mutant => mutant.name === name)!
}
