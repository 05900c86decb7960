import { arbiterEndpoint, type EndpointId } from '../protocol/endpoint.ts'
import type { PayloadOf } from '../protocol/kinds.ts'
import type { TableView } from '../table/table-view.ts'
import type { TransferOptions } from './transfer-options.ts'

/** The arbiters of the table, or `fallback` while no table is known. */
export function arbitersOf(
  view: TableView,
  fallback: readonly EndpointId[]
): readonly EndpointId[] {
  return view.table?.arbiters.map(({ replicaId }) => arbiterEndpoint(replicaId)) ?? fallback
}

/** What a transfer tells the arbiters about itself. */
export function announcementOf(
  options: TransferOptions,
  bootId: number,
  stopping: boolean,
  load: number
): PayloadOf<'ANNOUNCE'> {
  const { id, setId, nodeId, address, clientAddresses, version } = options
  return {
    role: 'transfer',
    id,
    setId,
    nodeId,
    bootId,
    address,
    clientAddresses: [...clientAddresses],
    version,
    stopping,
    load
  }
}
