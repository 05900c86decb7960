import { SharedTables } from '../table/shared-tables.ts'

/** Of all clients of this process. */
export const sharedTables = new SharedTables()
