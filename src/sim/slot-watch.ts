import type { SlotState } from '../router/ownership.ts'
import type { RouterMachine } from '../router/router-machine.ts'
import type { MoveStep } from '../table/move-steps.ts'
import { SimFailure } from './invariants.ts'
import type { Site } from './mutants/mutant.ts'
import type { World } from './world.ts'

interface Change {
  readonly slot: number
  readonly state: SlotState
  readonly slotEpoch: number
}

/** Looks at who owns which slot, as the logs of the groups have it: never two sets at once (I-3). */
export class SlotWatch {
  readonly #world: World
  /** Replica → what the entry that it is applying has changed so far. */
  readonly #changes = new Map<string, Change[]>()
  /** Slot → group → its newest state anywhere. */
  readonly #states = new Map<number, Map<string, Change>>()
  readonly #abandoned = new Set<string>()
  readonly #newestEpoch = new Map<number, number>()

  constructor(world: World) {
    this.#world = world
  }

  machine({ ownership }: RouterMachine, { group, replicaId }: Site): void {
    const changes: Change[] = []
    this.#changes.set(`${group}/${replicaId}`, changes)
    ownership.onChange = (slot, state, slotEpoch) => changes.push({ slot, state, slotEpoch })
  }

  /** The group serves nobody any more, whatever its log says. */
  abandoned(group: string): void {
    this.#abandoned.add(group)
    for (const states of this.#states.values()) states.delete(group)
  }

  /** The replica has applied an entry. @param first before any other of its group. */
  applied({ group, replicaId }: Site, first: boolean): void {
    const changes = this.#changes.get(`${group}/${replicaId}`)?.splice(0)
    if (changes === undefined || !first || this.#abandoned.has(group)) return
    for (const change of changes) this.#judge(group, change)
  }

  #judge(group: string, change: Change): void {
    const { marks } = this.#world
    const { slot, state, slotEpoch } = change
    const states = this.#states.get(slot) ?? new Map<string, Change>()
    this.#states.set(slot, states)
    const before = states.get(group)
    states.set(group, change)
    const step = stepOf(before?.state, state)
    if (step !== undefined) this.#world.stepKiller?.step(step, slot)
    if (state === 'owned' && before?.state === 'sealed') marks.hit('slot unsealed')
    if (state === 'gone' && before?.state !== 'sealed') marks.hit('arrival of a slot called off')
    if (state !== 'owned') return
    if (before?.state === 'imported') marks.hit('slot moved')
    for (const [other, { state: elsewhere }] of states) {
      if (other === group || elsewhere !== 'owned') continue
      throw new SimFailure('ownership', `slot ${slot} is ${group}'s and still ${other}'s`)
    }
    const newest = this.#newestEpoch.get(slot) ?? 0
    if (slotEpoch < newest || (slotEpoch === newest && before?.slotEpoch !== slotEpoch)) {
      throw new SimFailure('ownership', `slot ${slot} is owned under ${slotEpoch} after ${newest}`)
    }
    this.#newestEpoch.set(slot, slotEpoch)
  }
}

function stepOf(before: SlotState | undefined, state: SlotState): MoveStep | undefined {
  if (state === 'importing') return 'import'
  if (state === 'sealed') return 'seal'
  if (state === 'imported') return 'imported'
  if (before === 'imported' && state === 'owned') return 'take'
  if (before === 'sealed' && state === 'gone') return 'leave'
  if (before === 'gone' && state === 'none') return 'forget'
  return before === 'owned' && state === 'owned' ? 'settle' : undefined
}
