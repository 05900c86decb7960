import type { ClusterSample } from '../src/control/cluster-control.ts'
import { type ClusterStatus, clusterStatus } from '../src/control/cluster-status.ts'

/** The cluster at one instant, with what happened per second since the instant before. */
export interface Picture {
  readonly atMs: number
  readonly status: ClusterStatus
  readonly perSecond: ReadonlyMap<string, SetRates>
}

export interface SetRates {
  readonly acks: number
  readonly pushes: number
}

/** @param before without it, and after a process restarted its counters, rates are 0. */
export function pictureOf(sample: ClusterSample, before?: Picture): Picture {
  const status = clusterStatus(sample)
  const seconds = before === undefined ? 0 : (sample.atMs - before.atMs) / 1000
  const perSecond = new Map<string, SetRates>()
  for (const { id, transfers } of status.sets) {
    const former = before?.status.sets.find(set => set.id === id)?.transfers ?? []
    const rate = (field: 'acks' | 'pushes'): number => {
      if (seconds <= 0) return 0
      const growth = transfers.map(transfer => {
        const then = former.find(other => other.id === transfer.id)
        return then === undefined ? 0 : Math.max(0, transfer[field] - then[field])
      })
      return growth.reduce((sum, one) => sum + one, 0) / seconds
    }
    perSecond.set(id, { acks: rate('acks'), pushes: rate('pushes') })
  }
  return { atMs: sample.atMs, status, perSecond }
}
