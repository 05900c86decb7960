import { ByteReader, ByteWriter } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import {
  bool,
  id48,
  list,
  oneOf,
  struct,
  text,
  u8,
  uint,
  type ValueOf
} from '../protocol/fields.ts'
import { tableLimits } from '../table/table-rules.ts'
import { type Order, readOrder, writeOrder } from './orders.ts'

const { idBytes, nodeIdBytes, addressBytes, versionBytes, clientAddresses } = tableLimits
const endpointBytes = 2 * idBytes

/** A process as it introduced itself. `id` of a router: `setId/replicaId`. */
const announcedProcess = struct({
  role: oneOf(['transfer', 'logic', 'router']),
  id: text(endpointBytes),
  setId: text(idBytes),
  nodeId: text(nodeIdBytes),
  bootId: id48(),
  address: text(addressBytes),
  clientAddresses: list(text(addressBytes), clientAddresses),
  version: text(versionBytes),
  stopping: bool()
})
export type AnnouncedProcess = ValueOf<typeof announcedProcess>

/** Where a replica of a set's router group stands in the table; `none` takes it out. Node and address count only for a new one. */
const placedRouter = struct({
  setId: text(idBytes),
  replicaId: u8(),
  role: oneOf(['learner', 'voter', 'none']),
  nodeId: text(nodeIdBytes),
  address: text(addressBytes)
})
export type PlacedRouter = ValueOf<typeof placedRouter>

/** Sends a slot on its way. */
const startedMove = struct({ slot: uint(), to: text(idBytes) })
/** The end of a move: `done` makes the slot its new set's. */
const endedMove = struct({ slot: uint(), epoch: uint(), done: bool() })

/**
 * A change of the sets themselves; see sets.ts. `clean`: its routers found by the table of `epoch` that nothing is left in it. Zone,
 * weight (in hundredths) and the voters of its router group count only for `add`; `routers` of `lose` is the one that is left to be read.
 */
const setChange = struct({
  step: oneOf(['add', 'drain', 'clean', 'remove', 'lose']),
  setId: text(idBytes),
  epoch: uint(),
  zone: text(tableLimits.zoneBytes),
  weight: uint(),
  routers: list(
    struct({ replicaId: u8(), nodeId: text(nodeIdBytes), address: text(addressBytes) }),
    255
  )
})
export type SetChange = ValueOf<typeof setChange>

const downFields = struct({ endpoint: text(endpointBytes), bootId: id48() })

/**
 * What the arbiters log. `bootstrap` carries the whole first table (encoded, epoch 1) and does
 * nothing where there is one; `down` does nothing unless the process still has that boot id.
 */
export type ArbiterCommand =
  | { readonly type: 'bootstrap'; readonly table: Buffer }
  | { readonly type: 'announce'; readonly process: AnnouncedProcess }
  | { readonly type: 'down'; readonly endpoint: string; readonly bootId: number }
  | { readonly type: 'place'; readonly router: PlacedRouter }
  | ({ readonly type: 'move' } & ValueOf<typeof startedMove>)
  | ({ readonly type: 'endMove' } & ValueOf<typeof endedMove>)
  | { readonly type: 'set'; readonly change: SetChange }
  | { readonly type: 'order'; readonly order: Order }

/** First byte of every entry. */
const formatVersion = 1
const commandNumbers = {
  bootstrap: 1,
  announce: 2,
  down: 3,
  place: 4,
  move: 5,
  endMove: 6,
  set: 7,
  order: 10
} as const

/** One log entry holding `commands`. */
export function encodeCommands(commands: readonly ArbiterCommand[]): Buffer {
  const writer = new ByteWriter(1_024)
  writer.u8(formatVersion)
  writer.varint(commands.length)
  for (const command of commands) {
    writer.u8(commandNumbers[command.type])
    switch (command.type) {
      case 'bootstrap':
        writer.bytes(command.table)
        break
      case 'announce':
        announcedProcess.write(writer, command.process)
        break
      case 'down':
        downFields.write(writer, command)
        break
      case 'place':
        placedRouter.write(writer, command.router)
        break
      case 'move':
        startedMove.write(writer, command)
        break
      case 'set':
        setChange.write(writer, command.change)
        break
      case 'endMove':
        endedMove.write(writer, command)
        break
      case 'order':
        writeOrder(writer, command.order)
    }
  }
  return writer.copy()
}

/**
 * Throws on anything `encodeCommands` would not write: such an entry must never have been logged.
 */
export function decodeCommands(data: Buffer): ArbiterCommand[] {
  const reader = new ByteReader(data)
  const version = reader.u8()
  assert(version === formatVersion, 'an arbiter entry has a known format', { version })
  const commands: ArbiterCommand[] = []
  const count = reader.varint()
  for (let i = 0; i < count; i++) commands.push(readCommand(reader))
  reader.end()
  return commands
}

function readCommand(reader: ByteReader): ArbiterCommand {
  const number = reader.u8()
  switch (number) {
    case commandNumbers.bootstrap:
      return { type: 'bootstrap', table: reader.bytes(tableLimits.encodedBytes) }
    case commandNumbers.announce:
      return { type: 'announce', process: announcedProcess.read(reader) }
    case commandNumbers.place:
      return { type: 'place', router: placedRouter.read(reader) }
    case commandNumbers.move:
      return { type: 'move', ...startedMove.read(reader) }
    case commandNumbers.set:
      return { type: 'set', change: setChange.read(reader) }
    case commandNumbers.endMove:
      return { type: 'endMove', ...endedMove.read(reader) }
    case commandNumbers.order:
      return { type: 'order', order: readOrder(reader) }
    default:
      assert(number === commandNumbers.down, 'an arbiter command is known', { number })
      return { type: 'down', ...downFields.read(reader) }
  }
}
