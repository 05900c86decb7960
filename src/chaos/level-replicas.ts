import type { ClusterStatus, GroupView } from '../control/cluster-status.ts'

/** Group → position in its log. */
export type Positions = ReadonlyMap<string, number>

/** How far each group has come that is not given up. */
export function commitsOf(status: ClusterStatus): Positions {
  return new Map(groupsOf(status).map(([name, { commit }]) => [name, commit]))
}

/** Voters that distrust their disk, are not there, or have not applied what was committed at `wanted`: in words. */
export function unlevel(status: ClusterStatus, wanted: Positions): string[] {
  return groupsOf(status).flatMap(([name, { replicas }]) => {
    const position = wanted.get(name) ?? 0
    return replicas.flatMap(({ id, node, role, voter, applied }) => {
      const who = `replica ${id} of ${name} at ${node}`
      if (!voter) return []
      if (role === 'quarantined' || role === 'unreachable') return [`${who} is ${role}`]
      return applied < position ? [`${who} has ${applied} of ${position} entries`] : []
    })
  })
}

function groupsOf({ arbiter, sets }: ClusterStatus): [string, GroupView][] {
  const kept = sets.filter(({ state }) => state !== 'lost')
  return [['arbiter', arbiter], ...kept.map(({ id, router }): [string, GroupView] => [id, router])]
}
