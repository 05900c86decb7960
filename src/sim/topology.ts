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

/** Where a replica of a group lives. */
export interface ReplicaPlace {
  readonly replicaId: number
  readonly nodeId: string
  readonly address: string
}

/** How large a cluster is. */
export interface ClusterShape {
  readonly sets: number
  /** Of each set's router group. */
  readonly routers: number
  readonly arbiters: number
  /** Whether the processes of one more set run, which the first table does not list. */
  readonly spare?: boolean
}

export const arbiterGroup = 'arbiter'
/** Of each set. */
const gateways = 2

/**
 * A cluster like that of cluster-configs/local.yaml, which is the shape of two sets, three routers and three arbiters: a node for
 * each router, with a gateway and a logic beside the first two of each set, and a node for each arbiter.
 */
export class Topology {
  /** All, the spare one included. */
  readonly setIds: readonly string[]
  /** A set that operators may add, and remove. */
  readonly spare: string | undefined
  readonly nodes: readonly NodePlan[]
  /** The router groups by their sets' names, and the arbiter group. */
  readonly groups: readonly string[]
  readonly #places = new Map<string, readonly ReplicaPlace[]>()

  constructor({ sets, routers, arbiters, spare = false }: ClusterShape) {
    this.setIds = upTo(spare ? sets + 1 : sets).map(number => `s${number}`)
    this.spare = spare ? this.setIds.at(-1) : undefined
    this.groups = [...this.setIds, arbiterGroup]
    this.nodes = [
      ...this.setIds.flatMap(set => upTo(routers).map(replica => routerNode(set, replica))),
      ...upTo(arbiters).map(arbiterNode)
    ]
    for (const group of this.groups) this.#places.set(group, this.#placesOf(group))
  }

  /** Those of the first table. */
  get firstSets(): string[] {
    return this.setIds.filter(setId => setId !== this.spare)
  }

  replicasOf(group: string): readonly ReplicaPlace[] {
    return this.#places.get(group)!
  }

  #placesOf(group: string): ReplicaPlace[] {
    return this.nodes.flatMap(({ id: nodeId, address, roles }) =>
      roles.flatMap(role => {
        const here =
          (role.role === 'router' && role.set === group) ||
          (role.role === 'arbiter' && group === arbiterGroup)
        return here ? [{ replicaId: role.replica, nodeId, address }] : []
      })
    )
  }
}

function routerNode(set: string, replica: number): NodePlan {
  const id = `${set}-${'abcde'[replica - 1]}`
  const roles: RolePlan[] = [{ role: 'router', set, replica }]
  if (replica <= gateways) {
    roles.push({ role: 'transfer', set, id: `${set}-t${replica}` })
    roles.push({ role: 'logic', set, id: `${set}-l${replica}` })
  }
  return { id, address: `${id}:7100`, roles }
}

function arbiterNode(replica: number): NodePlan {
  const id = `a${replica}`
  return { id, address: `${id}:7100`, roles: [{ role: 'arbiter', replica }] }
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1)
}
