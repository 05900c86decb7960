import { type EndpointId, transferEndpoint } from '../protocol/endpoint.ts'
import type { Route } from '../protocol/kinds.ts'
import { type Packet, packet } from '../protocol/packet.ts'

/** What to tell the transfers whose connections gave way to `route`. @param result of the registration. */
export function evictions(route: Route, result: unknown): [EndpointId, Packet<'EVICT'>][] {
  const { replaced } = result as { readonly replaced: readonly Route[] }
  return replaced.map(old => [
    transferEndpoint(old.transferId),
    packet('EVICT', {
      transferBootId: old.transferBootId,
      connId: old.connId,
      reason: old.deviceId === route.deviceId ? 'same-device' : 'same-class',
      by: route.deviceId
    })
  ])
}
