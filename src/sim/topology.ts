export type RolePlan =
  | { readonly role: 'router'; readonly set: string; readonly replica: number }
  | { readonly role: 'transfer'; readonly set: string; readonly id: string }
  | { readonly role: 'logic'; readonly set: string; readonly id: string }
  | { readonly role: 'arbiter'; readonly replica: number }

export interface NodePlan {
  readonly id: string
  /** `host:port`, as the routing table names it. */
  readonly address: string
  readonly roles: readonly RolePlan[]
}

export const setIds = ['s1', 's2'] as const
export const replicaIds = [1, 2, 3] as const

/** The cluster of cluster-configs/local.yaml: two sets of three nodes and three arbiters. */
export const nodePlans: readonly NodePlan[] = [
  ...setIds.flatMap(set =>
    replicaIds.map((replica): NodePlan => {
      const id = `${set}-${'abc'[replica - 1]}`
      const roles: RolePlan[] = [{ role: 'router', set, replica }]
      if (replica < 3) {
        roles.push({ role: 'transfer', set, id: `${set}-t${replica}` })
        roles.push({ role: 'logic', set, id: `${set}-l${replica}` })
      }
      return { id, address: `${id}:7100`, roles }
    })
  ),
  ...replicaIds.map(
    (replica): NodePlan => ({
      id: `a${replica}`,
      address: `a${replica}:7100`,
      roles: [{ role: 'arbiter', replica }]
    })
  )
]

/** The nodes that hold a replica of a set's router group, or of the arbiter group (`arbiter`). */
export function replicasOf(
  group: string
): { replicaId: number; nodeId: string; address: string }[] {
  return nodePlans.flatMap(({ id: nodeId, address, roles }) =>
    roles.flatMap(role => {
      const here =
        (role.role === 'router' && role.set === group) ||
        (role.role === 'arbiter' && group === 'arbiter')
      return here ? [{ replicaId: role.replica, nodeId, address }] : []
    })
  )
}
