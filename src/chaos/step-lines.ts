/** What the leader of a router group says of a slot, once it is in the group's log and applied. */
export interface SlotStepLine {
  readonly atMs: number
  readonly step: string
  readonly slot: number
  readonly epoch: number
}

/** Undefined for any other line of a node's log. `atMs` is wall-clock time. */
export function slotStepIn(line: string): SlotStepLine | undefined {
  if (!line.includes('"slot_step"')) return undefined
  try {
    const { event, time, step, slot, epoch } = JSON.parse(line) as Record<string, unknown>
    if (event !== 'slot_step' || typeof step !== 'string') return undefined
    const atMs = typeof time === 'string' ? Date.parse(time) : Number(time)
    return { atMs, step, slot: Number(slot), epoch: Number(epoch) }
  } catch {
    // The last line of a process that was killed.
    return undefined
  }
}
