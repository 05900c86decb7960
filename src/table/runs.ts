import { assert } from '../base/errors.ts'
import type { SlotRun } from './table.ts'

/** Compresses owner and ownership epoch of each slot (index = slot) into the fewest runs. */
export function runsOf(owners: readonly string[], slotEpochs: readonly number[]): SlotRun[] {
  assert(owners.length === slotEpochs.length, 'every slot has an owner and an epoch')
  const runs: SlotRun[] = []
  let first = 0
  for (let slot = 1; slot <= owners.length; slot++) {
    if (
      slot === owners.length ||
      owners[slot] !== owners[first] ||
      slotEpochs[slot] !== slotEpochs[first]
    ) {
      const count = slot - first
      runs.push({ first, count, setId: owners[first]!, slotEpoch: slotEpochs[first]! })
      first = slot
    }
  }
  return runs
}

/** The owner of each slot, index = slot. */
export function ownersOf(runs: readonly SlotRun[]): string[] {
  const owners: string[] = []
  for (const run of runs) for (let i = 0; i < run.count; i++) owners.push(run.setId)
  return owners
}

/** The ownership epoch of each slot, index = slot. */
export function slotEpochsOf(runs: readonly SlotRun[]): number[] {
  const slotEpochs: number[] = []
  for (const run of runs) for (let i = 0; i < run.count; i++) slotEpochs.push(run.slotEpoch)
  return slotEpochs
}

/**
 * The runs after some slots got a new owner at table epoch `epoch`. A slot that already belongs to
 * the set it is given to keeps its ownership epoch: only a change of owner may fence requests
 * (E-4).
 */
export function assignRuns(
  runs: readonly SlotRun[],
  newOwners: ReadonlyMap<number, string>,
  epoch: number
): SlotRun[] {
  const owners = ownersOf(runs)
  const slotEpochs = slotEpochsOf(runs)
  for (const [slot, setId] of newOwners) {
    assert(slot >= 0 && slot < owners.length, 'an assigned slot is in range', { slot })
    if (owners[slot] === setId) continue
    owners[slot] = setId
    slotEpochs[slot] = epoch
  }
  return runsOf(owners, slotEpochs)
}
