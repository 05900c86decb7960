import type { ClusterSample } from '../src/control/cluster-control.ts'
import { type ClusterStatus, clusterStatus } from '../src/control/cluster-status.ts'

/** The cluster at one instant, with what happened per second since the instant before. */
export interface Picture {
  readonly atMs: number
  readonly status: ClusterStatus
  readonly perSecond: ReadonlyMap<string, SetRates>
  /** Node id → processor time in use: 1 is one core. */
  readonly cores: ReadonlyMap<string, number>
}

export interface SetRates {
  /** Messages acknowledged to clients. */
  readonly acks: number
  readonly pushes: number
  /** Entries of the router group's log. */
  readonly commits: number
}

const none: SetRates = { acks: 0, pushes: 0, commits: 0 }

/** @param before without it, and after a process restarted its counters, rates are 0. */
export function pictureOf(sample: ClusterSample, before?: Picture): Picture {
  const status = clusterStatus(sample)
  const seconds = before === undefined ? 0 : (sample.atMs - before.atMs) / 1000
  const rate = (now: number, then: number | undefined): number =>
    seconds <= 0 || then === undefined ? 0 : Math.max(0, now - then) / seconds
  const perSecond = new Map<string, SetRates>()
  for (const { id, transfers, router } of status.sets) {
    const former = before?.status.sets.find(set => set.id === id)
    const sum = (field: 'acks' | 'pushes'): number => {
      const rates = transfers.map(transfer => {
        const then = former?.transfers.find(other => other.id === transfer.id)
        return rate(transfer[field], then?.[field])
      })
      return rates.reduce((total, one) => total + one, 0)
    }
    // Without a leader nobody knows the commit; that is no entry less, and none more when it is known again.
    const commits = former?.router.commit ? rate(router.commit, former.router.commit) : 0
    perSecond.set(id, { acks: sum('acks'), pushes: sum('pushes'), commits })
  }
  const cores = new Map<string, number>()
  for (const { id, pid, cpuMicros } of status.nodes) {
    const then = before?.status.nodes.find(node => node.id === id && node.pid === pid)
    cores.set(id, rate(cpuMicros, then?.cpuMicros) / 1_000_000)
  }
  return { atMs: sample.atMs, status, perSecond, cores }
}

/** Of all sets together. */
export function totalRates({ perSecond }: Pick<Picture, 'perSecond'>): SetRates {
  return [...perSecond.values()].reduce(
    (sum, { acks, pushes, commits }) => ({
      acks: sum.acks + acks,
      pushes: sum.pushes + pushes,
      commits: sum.commits + commits
    }),
    none
  )
}
