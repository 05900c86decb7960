import type { TableView } from '../table/table-view.ts'

/** As many as fit a packet. */
const maxAddresses = 64

/** Client addresses of the gateways of a set that take clients, `exceptId` aside. */
export function addressesOf(view: TableView, setId: string, exceptId?: string): string[] {
  const addresses: string[] = []
  for (const { id, state, clientAddresses } of view.set(setId)?.transfers ?? []) {
    if (state === 'up' && id !== exceptId) addresses.push(...clientAddresses)
  }
  return addresses.slice(0, maxAddresses)
}
