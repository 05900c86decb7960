import {
  createTableKeeper as createWhole,
  type TableKeeperOptions
} from '../../src/table/create-table-keeper.ts'
import type { TableKeeper } from '../../src/table/table-keeper.ts'
import { siteOf, tampering } from './tampering.ts'

/** In place of the one that nodes are built with. */
export function createTableKeeper(options: TableKeeperOptions): TableKeeper {
  const keeper = createWhole(options)
  return tampering.keeper?.(keeper, siteOf('', 0).process) ?? keeper
}
