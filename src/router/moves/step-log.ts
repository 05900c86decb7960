import type { RoleEnv } from '../../protocol/role.ts'
import { isCommandError } from '../commands.ts'
import type { SlotStepCommand } from '../move-commands.ts'

/** Tells that a step of a move has become true: it is in the group's log, and was applied. @param result of its command. */
export function logSlotStep({ log }: RoleEnv, command: SlotStepCommand, result: unknown): void {
  if (isCommandError(result) || !(result as { readonly done: boolean }).done) return
  const { step, slot, move, epoch } = command
  log.info('slot_step', { step, slot, move, epoch })
}
