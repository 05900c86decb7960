import { hostPort } from '../base/host-port.ts'
import type { ClusterConfig } from '../config/schema.ts'

/** Where clients connect: address → gateway. */
export function gatewayAddresses({ nodes }: ClusterConfig): Map<string, string> {
  return new Map(
    nodes.flatMap(({ host, roles }) =>
      roles.flatMap(role => {
        if (role.role !== 'transfer') return []
        return [[`tcp://${hostPort(host, role.tcpPort)}`, role.id] as const]
      })
    )
  )
}

/** Where logic clients find the routers. */
export function routerAddresses({ nodes }: ClusterConfig): string[] {
  return nodes
    .filter(({ roles }) => roles.some(({ role }) => role === 'router'))
    .map(({ host, peerPort }) => hostPort(host, peerPort))
}
