import { ByteWriter } from '../../src/base/bytes.ts'
import type { Message, Route } from '../../src/protocol/kinds.ts'
import { p2pSession, parseSession, routingKey } from '../../src/protocol/session.ts'
import {
  beginEntry,
  commandKinds,
  finishEntry,
  writeAppend,
  writeChannelAcked,
  writeConnection,
  writeExpireTransfer,
  writeFill,
  writeImport,
  writeOwn,
  writeRaiseSequence
} from '../../src/router/commands.ts'
import type { SlotRange } from '../../src/table/table.ts'
import type { TableView } from '../../src/table/table-view.ts'

export type CommandWriter = (writer: ByteWriter) => void

export const entryWallMs = 1_700_000_000_000
export const entrySlotCount = 64

/** One log entry made of `commands`. */
export function entryOf(...commands: CommandWriter[]): Buffer {
  return entryTelling([], ...commands)
}

/** One log entry that also tells the group whose slots are which. */
export function entryTelling(tenants: readonly SlotRange[], ...commands: CommandWriter[]): Buffer {
  const writer = new ByteWriter()
  beginEntry(writer, entryWallMs, entrySlotCount, tenants)
  for (const command of commands) command(writer)
  return finishEntry(writer, commands.length)
}

export const ownAll: CommandWriter = w =>
  writeOwn(w, [{ first: 0, count: entrySlotCount, slotEpoch: 1 }])

export const ownRange =
  (first: number, count: number, slotEpoch = 1): CommandWriter =>
  w =>
    writeOwn(w, [{ first, count, slotEpoch }])

export interface AppendSpec {
  readonly from: string
  readonly to: string
  readonly clientMsgId: number
  readonly deviceId?: string
  readonly type?: number
  readonly body?: string
  readonly localMembers?: number
  readonly targetSets?: readonly string[]
  readonly slotEpoch?: number
}

/** Home slot of the conversation of two users. */
export function homeSlot(table: TableView, a: string, b: string): number {
  const session = p2pSession(a, b)
  return table.slotOf(routingKey(session, parseSession(session)))
}

export const append =
  (table: TableView, spec: AppendSpec): CommandWriter =>
  w =>
    writeAppend(
      w,
      homeSlot(table, spec.from, spec.to),
      spec.slotEpoch ?? 1,
      { localMembers: spec.localMembers ?? 3, targetSets: spec.targetSets ?? [] },
      {
        session: p2pSession(spec.from, spec.to),
        uid: spec.from,
        deviceId: spec.deviceId ?? 'phone',
        clientMsgId: spec.clientMsgId,
        type: spec.type ?? 0,
        body: Buffer.from(spec.body ?? `${spec.from} ${spec.clientMsgId}`)
      }
    )

export const route = (fields: Partial<Route> = {}): Route => ({
  deviceId: 'phone',
  class: 'mobile',
  transferId: 't1',
  transferBootId: 11,
  connId: 1,
  connSeq: 1,
  sinceMs: 5,
  ...fields
})

export const register =
  (table: TableView, uid: string, one: Route, slotEpoch = 1): CommandWriter =>
  w =>
    writeConnection(w, commandKinds.register, table.slotOf(uid), slotEpoch, { uid, route: one })

export const unregister =
  (table: TableView, uid: string, one: Route, slotEpoch = 1): CommandWriter =>
  w =>
    writeConnection(w, commandKinds.unregister, table.slotOf(uid), slotEpoch, { uid, route: one })

export const expire =
  (transferId: string, transferBootId: number): CommandWriter =>
  w =>
    writeExpireTransfer(w, transferId, transferBootId)

export const message = (msgid: number, from: string, body = `m${msgid}`): Message => ({
  msgid,
  from,
  deviceId: 'phone',
  clientMsgId: msgid,
  type: 0,
  atMs: entryWallMs,
  body: Buffer.from(body)
})

export interface ItemSpec {
  readonly a: string
  readonly b: string
  readonly msgid: number
  readonly localMembers?: number
}

export const importItems =
  (
    table: TableView,
    sourceSet: string,
    firstPosition: number,
    items: readonly ItemSpec[]
  ): CommandWriter =>
  w =>
    writeImport(
      w,
      sourceSet,
      firstPosition,
      items.map(({ a, b, msgid, localMembers }) => ({
        slot: homeSlot(table, a, b),
        localMembers: localMembers ?? 2,
        session: p2pSession(a, b),
        message: message(msgid, a)
      }))
    )

export const fill =
  (table: TableView, a: string, b: string, msgids: readonly number[]): CommandWriter =>
  w =>
    writeFill(
      w,
      homeSlot(table, a, b),
      2,
      p2pSession(a, b),
      msgids.map(msgid => message(msgid, a))
    )

export const channelAcked =
  (targetSet: string, position: number): CommandWriter =>
  w =>
    writeChannelAcked(w, targetSet, position)

export const raiseSequence =
  (table: TableView, name: string, step: number): CommandWriter =>
  w =>
    writeRaiseSequence(w, table.slotOf(name), 1, name, step)
