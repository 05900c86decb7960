import { setTimeout as sleep } from 'node:timers/promises'
import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import type { GroupView } from './cluster-status.ts'

interface LedGroup<V extends Led> {
  look(): Promise<V>
  /** For people. */
  readonly group: string
  /** Refusals that pass by themselves. */
  readonly passing: readonly ErrorCode[]
  /** How long to ask again after those. */
  readonly patienceMs: number
  /** Raised: not any longer. */
  readonly over?: AbortSignal | undefined
}

/** Node id of the leader; null: there is none. */
type Led = Pick<GroupView, 'leader'>

const pauseMs = 100

/** Asks the node that leads a group, and the one that leads next when that does not any more. Throws NO_LEADER, and what the leader refuses with. */
export async function atLeader<T, V extends Led>(
  { look, group, passing, patienceMs, over }: LedGroup<V>,
  ask: (leader: string, view: V) => Promise<T>
): Promise<T> {
  const endMs = performance.now() + patienceMs
  for (;;) {
    try {
      const view = await look()
      if (view.leader === null) {
        throw new RingsetError('NO_LEADER', `no replica of ${group} leads`)
      }
      return await ask(view.leader, view)
    } catch (error) {
      const passes = error instanceof RingsetError && passing.includes(error.code)
      if (!passes || over?.aborted || performance.now() > endMs) throw error
    }
    await sleep(pauseMs, undefined, { signal: over }).catch(() => {})
  }
}
