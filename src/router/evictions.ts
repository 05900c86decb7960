import { type EndpointId, transferEndpoint } from '../protocol/endpoint.ts'
import type { Route } from '../protocol/kinds.ts'
import { type Packet, packet } from '../protocol/packet.ts'

/** What to tell the transfers whose connections gave way to `by`. */
export function evictions(by: Route, replaced: readonly Route[]): [EndpointId, Packet<'EVICT'>][] {
  return replaced.map(old => [
    transferEndpoint(old.transferId),
    packet('EVICT', {
      transferBootId: old.transferBootId,
      connId: old.connId,
      reason: old.deviceId === by.deviceId ? 'same-device' : 'same-class',
      by: by.deviceId
    })
  ])
}
