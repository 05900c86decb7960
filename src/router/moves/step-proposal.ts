import type { RoleEnv } from '../../protocol/role.ts'
import { isCommandError } from '../commands.ts'
import { type SlotStepCommand, writeSlotStep } from '../move-commands.ts'
import type { Proposals } from '../proposals.ts'

interface StepPorts {
  readonly parts: { readonly env: RoleEnv }
  readonly proposals: Proposals
}

/** Proposes a step of a move. @param onResult gets the result of its command. @returns false when there is no room now; then nothing happens. */
export function proposeStep(
  { parts, proposals }: StepPorts,
  step: SlotStepCommand,
  onResult: (result: unknown) => void
): boolean {
  const writer = proposals.open()
  if (writer === undefined) return false
  writeSlotStep(writer, step)
  proposals.own(result => {
    logSlotStep(parts.env, step, result)
    onResult(result)
  })
  return true
}

/** Tells that a step of a move has become true: it is in the group's log, and was applied. @param result of its command. */
export function logSlotStep({ log }: RoleEnv, command: SlotStepCommand, result: unknown): void {
  if (isCommandError(result) || !(result as { readonly done: boolean }).done) return
  const { step, slot, move, epoch } = command
  log.info('slot_step', { step, slot, move, epoch })
}
