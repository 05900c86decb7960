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
  /** One of those that found the group; the others wait to be added. */
  readonly founder: boolean
}

/** How large a cluster is. */
export interface ClusterShape {
  readonly sets: number
  /** Of each set's router group. */
  readonly routers: number
  readonly arbiters: number
  /** Whether the processes of one more set run, which the first table does not list. */
  readonly spare?: boolean
  /** Router replicas of each set, but not of a spare one, that run and wait to be added. */
  readonly newcomers?: number
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
  readonly #founders: number

  constructor({ sets, routers, arbiters, spare = false, newcomers = 0 }: ClusterShape) {
    this.#founders = routers
    this.setIds = upTo(spare ? sets + 1 : sets).map(number => `s${number}`)
    this.spare = spare ? this.setIds.at(-1) : undefined
    this.groups = [...this.setIds, arbiterGroup]
    this.nodes = [
      ...this.setIds.flatMap(set => upTo(routers).map(replica => routerNode(set, replica))),
      ...upTo(arbiters).map(arbiterNode),
      ...this.firstSets.flatMap(set =>
        upTo(newcomers).map(number => routerNode(set, routers + number))
      )
    ]
    for (const group of this.groups) this.#places.set(group, this.#placesOf(group))
  }

  /** Those of the first table. */
  get firstSets(): string[] {
    return this.setIds.filter(setId => setId !== this.spare)
  }

  /** All that run, members or not. */
  replicasOf(group: string): readonly ReplicaPlace[] {
    return this.#places.get(group)!
  }

  foundersOf(group: string): readonly ReplicaPlace[] {
    return this.replicasOf(group).filter(({ founder }) => founder)
  }

  #placesOf(group: string): ReplicaPlace[] {
    return this.nodes.flatMap(({ id: nodeId, address, roles }) =>
      roles.flatMap(role => {
        if (!isReplicaOf(role, group)) return []
        const { replica: replicaId } = role
        const founder = group === arbiterGroup || replicaId <= this.#founders
        return [{ replicaId, nodeId, address, founder }]
      })
    )
  }
}

type ReplicaRole = Extract<RolePlan, { readonly replica: number }>

function isReplicaOf(role: RolePlan, group: string): role is ReplicaRole {
  if (role.role === 'arbiter') return group === arbiterGroup
  return role.role === 'router' && role.set === group
}

function routerNode(set: string, replica: number): NodePlan {
  const id = `${set}-${'abcdefg'[replica - 1]}`
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
