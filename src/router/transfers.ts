import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import { hardLimits } from '../protocol/kinds.ts'
import type { Rows } from '../raft/state-machine.ts'
import { groupPrefix } from './row-keys.ts'
import { type Row, type RowReader, RowTable } from './row-table.ts'

/** One start of a transfer. */
export interface TransferInstance {
  readonly transferId: string
  readonly transferBootId: number
  alive: boolean
}

interface TransfersRow extends Row {
  readonly instances: Map<string, TransferInstance>
}

/** Instances remembered; the dead ones that died first leave first. */
export const instancesMax = 2_048

export const instanceId = (transferId: string, transferBootId: number): string =>
  `${transferBootId}/${transferId}`

/**
 * Every transfer instance that ever registered a route here, in one row: one entry that marks an instance dead drops all its routes at once.
 */
export class Transfers {
  readonly #table = new RowTable<TransfersRow>({
    capacity: 2,
    blank: key => ({ key, dirty: false, instances: new Map() }),
    read: readTransfers,
    write: writeTransfers
  })

  alive(rows: RowReader, transferId: string, transferBootId: number): boolean {
    return this.#row(rows).instances.get(instanceId(transferId, transferBootId))?.alive === true
  }

  dead(rows: RowReader, transferId: string, transferBootId: number): boolean {
    return this.#row(rows).instances.get(instanceId(transferId, transferBootId))?.alive === false
  }

  all(rows: RowReader): Iterable<TransferInstance> {
    return this.#row(rows).instances.values()
  }

  /** Learns of an instance. False: it is dead. Undefined: there is no room for one more live instance. */
  admit(rows: RowReader, transferId: string, transferBootId: number): boolean | undefined {
    const row = this.#row(rows)
    const known = row.instances.get(instanceId(transferId, transferBootId))
    if (known !== undefined) return known.alive
    if (!makeRoom(row)) return undefined
    row.instances.set(instanceId(transferId, transferBootId), {
      transferId,
      transferBootId,
      alive: true
    })
    this.#table.touch(row)
    return true
  }

  /** Marks the instance dead for ever. False: it was not known alive. */
  expire(rows: RowReader, transferId: string, transferBootId: number): boolean {
    const row = this.#row(rows)
    const id = instanceId(transferId, transferBootId)
    const known = row.instances.get(id)
    if (known === undefined || !known.alive) return false
    known.alive = false
    // The map's order is the order of death for the dead, so that the oldest of them leaves first.
    row.instances.delete(id)
    row.instances.set(id, known)
    this.#table.touch(row)
    return true
  }

  flush(rows: Rows): void {
    this.#table.flush(rows)
  }

  reset(): void {
    this.#table.clear()
  }

  #row(rows: RowReader): TransfersRow {
    return (
      this.#table.cached(groupPrefix) ??
      this.#table.load(rows, groupPrefix, `${groupPrefix}/transfers`)
    )
  }
}

/** A route of a forgotten instance counts as dead: only known live instances are alive. */
function makeRoom(row: TransfersRow): boolean {
  if (row.instances.size < instancesMax) return true
  for (const [id, instance] of row.instances) {
    if (instance.alive) continue
    row.instances.delete(id)
    return true
  }
  return false
}

function readTransfers(row: TransfersRow, reader: ByteReader): void {
  const count = reader.varint()
  for (let i = 0; i < count; i++) {
    const transferId = reader.string(hardLimits.nameBytes)
    const transferBootId = reader.u48()
    const alive = reader.u8() === 1
    row.instances.set(instanceId(transferId, transferBootId), {
      transferId,
      transferBootId,
      alive
    })
  }
}

function writeTransfers(row: TransfersRow, writer: ByteWriter): void {
  writer.varint(row.instances.size)
  for (const { transferId, transferBootId, alive } of row.instances.values()) {
    writer.string(transferId)
    writer.u48(transferBootId)
    writer.u8(alive ? 1 : 0)
  }
}
