/**
 * The name of a role instance, unique in the cluster: `transfer/t1`, `logic/l1`, `router/s1/2` (set, replica),
 * `arbiter/1`, `observer/n1` (node), `client/…` (a logic client on its link). The host resolves it to an address.
 */
export type EndpointId = string

export const routerEndpoint = (setId: string, replicaId: number): EndpointId =>
  `router/${setId}/${replicaId}`
export const arbiterEndpoint = (replicaId: number): EndpointId => `arbiter/${replicaId}`
export const transferEndpoint = (id: string): EndpointId => `transfer/${id}`
export const logicEndpoint = (id: string): EndpointId => `logic/${id}`
/** Every node has one. */
export const observerEndpoint = (nodeId: string): EndpointId => `observer/${nodeId}`

/** A role as a plan of processes names it. */
export type PlannedRole =
  | { readonly role: 'router'; readonly set: string; readonly replica: number }
  | { readonly role: 'arbiter'; readonly replica: number }
  | { readonly role: 'transfer' | 'logic'; readonly id: string }

export function endpointOf(plan: PlannedRole): EndpointId {
  switch (plan.role) {
    case 'router':
      return routerEndpoint(plan.set, plan.replica)
    case 'arbiter':
      return arbiterEndpoint(plan.replica)
    case 'transfer':
      return transferEndpoint(plan.id)
    case 'logic':
      return logicEndpoint(plan.id)
  }
}
