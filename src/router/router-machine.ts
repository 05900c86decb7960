import { ByteReader } from '../base/bytes.ts'
import { RingsetError } from '../base/errors.ts'
import { isNext } from '../protocol/eras.ts'
import { hardLimits, type Route, route as routeField } from '../protocol/kinds.ts'
import type { Rows, StateMachine } from '../raft/state-machine.ts'
import type { SlotSpace } from '../table/slot-of.ts'
import { Channels } from './channels.ts'
import {
  type CommandError,
  commandError,
  commandKinds,
  readEntryHeader,
  readName,
  readOwnRuns,
  readSized
} from './commands.ts'
import { CountersTable } from './counters.ts'
import { Dedup } from './dedup.ts'
import { Holes } from './holes.ts'
import { Members } from './members.ts'
import { Ownership } from './ownership.ts'
import { Presence, type Registration } from './presence.ts'
import { Sequences } from './sequences.ts'
import { type SessionRow, Sessions } from './sessions.ts'
import { SlotRows } from './slot-rows.ts'
import { decodeMessage, getMessage, layMessage, putMessage } from './timelines.ts'
import { Transfers } from './transfers.ts'
import { UserIndex } from './user-index.ts'

export interface AppendResult {
  readonly msgid: number
  readonly duplicate: boolean
  readonly atMs: number
}

export interface ImportResult {
  /** Everything up to this position of the source's channel is applied. */
  readonly applied: number
}

export interface FillResult {
  readonly latest: number
}

export interface SequenceRange {
  readonly first: number
  readonly last: number
}

/** Watches entries being applied. Must not change rows. */
export interface MachineListener {
  /** @param message the timeline row, owned by nobody: keep it freely, never change it. */
  appended(row: SessionRow, msgid: number, message: Buffer): void
  queued(targetSet: string, position: number, row: SessionRow, message: Buffer): void
  /** The connections `old` gave way to `by`. */
  replaced(by: Route, old: readonly Route[]): void
}

/** Decoded rows kept per table; at most twice as many are held. */
export interface CacheSizes {
  readonly sessions: number
  readonly dedup: number
  readonly presence: number
  readonly users: number
}

export const defaultCacheSizes: CacheSizes = {
  sessions: 32_768,
  dedup: 16_384,
  presence: 32_768,
  users: 8_192
}

/** The replicated state of a set: see docs/architecture.md. One result per command, a plain object or a `CommandError`. */
export class RouterMachine implements StateMachine {
  readonly ownership = new Ownership()
  readonly sessions: Sessions
  readonly dedup: Dedup
  readonly transfers = new Transfers()
  readonly presence: Presence
  readonly users: UserIndex
  readonly channels = new Channels()
  readonly holes = new Holes()
  readonly sequences: Sequences
  readonly counters = new CountersTable()
  readonly members = new Members(this)
  readonly #slotRows: SlotRows

  readonly #listener: MachineListener
  #space: SlotSpace = { slotCount: 0, tenants: [] }
  #wallMs = 0

  constructor(listener: MachineListener, sizes: CacheSizes = defaultCacheSizes) {
    this.#listener = listener
    this.#slotRows = new SlotRows(this, listener)
    this.sessions = new Sessions(sizes.sessions)
    this.dedup = new Dedup(sizes.dedup)
    this.presence = new Presence(this.transfers, sizes.presence)
    this.users = new UserIndex(sizes.users)
    this.sequences = new Sequences(sizes.users)
  }

  apply(_index: number, data: Buffer, rows: Rows): unknown[] {
    const reader = new ByteReader(data)
    const { wallMs, slotCount, count, tenants } = readEntryHeader(reader)
    this.#wallMs = wallMs
    this.#space = this.ownership.space(rows, slotCount, tenants)
    const results: unknown[] = []
    for (let i = 0; i < count; i++) results.push(this.#command(reader, data, rows))
    reader.end()
    this.#flush(rows)
    return results
  }

  reset(): void {
    this.ownership.reset()
    this.sessions.reset()
    this.dedup.reset()
    this.transfers.reset()
    this.presence.reset()
    this.users.reset()
    this.channels.reset()
    this.holes.reset()
    this.sequences.reset()
    this.counters.reset()
  }

  /** Bounds what reads between entries brought into the caches. */
  trim(): void {
    this.sessions.trim()
    this.presence.trim()
    this.users.trim()
  }

  #command(reader: ByteReader, data: Buffer, rows: Rows): unknown {
    const kind = reader.u8()
    switch (kind) {
      case commandKinds.append:
        return this.#append(reader, data, rows)
      case commandKinds.register:
        return this.#register(reader, rows)
      case commandKinds.unregister:
        return this.#unregister(reader, rows)
      case commandKinds.expireTransfer: {
        const transferId = readName(reader)
        return { expired: this.transfers.expire(rows, transferId, reader.u48()) }
      }
      case commandKinds.import:
        return this.#import(reader, rows)
      case commandKinds.fill:
        return this.#fill(reader, rows)
      case commandKinds.channelAcked: {
        const targetSet = readName(reader)
        this.channels.acknowledge(rows, targetSet, reader.varint())
        return { acked: this.channels.outbox(rows, targetSet).acked }
      }
      case commandKinds.raiseSequence:
        return this.#raiseSequence(reader, rows)
      case commandKinds.own:
        return { taken: this.ownership.own(rows, this.#space.slotCount, readOwnRuns(reader)) }
      case commandKinds.slotStep:
        return this.#slotRows.step(reader, rows, this.#space.slotCount)
      case commandKinds.routeEpoch:
        this.ownership.raiseRouteEpoch(rows, reader.varint())
        return { done: true }
      case commandKinds.importMessages:
        return this.#slotRows.importMessages(reader, rows)
      case commandKinds.importSessions:
        return this.#slotRows.importSessions(reader, rows, this.#space)
      case commandKinds.breakSessions:
        return this.#slotRows.breakSessions(reader, rows, this.#wallMs)
      case commandKinds.importRows:
        return this.#slotRows.importRows(reader, rows)
      case commandKinds.redirect:
        return this.#slotRows.redirect(reader, rows, this.#space)
      case commandKinds.dropRows:
        return this.#slotRows.dropRows(reader, rows, this.#space)
      default:
        throw new RingsetError('INTERNAL', 'an entry holds an unknown command', { kind })
    }
  }

  #append(reader: ByteReader, data: Buffer, rows: Rows): AppendResult | CommandError {
    const slot = reader.u16()
    const slotEpoch = reader.varint()
    const localMembers = reader.varint()
    const targetCount = reader.u8()
    const targetSets: string[] = []
    for (let i = 0; i < targetCount; i++) targetSets.push(reader.string(hardLimits.nameBytes))
    const senderStart = reader.position
    const session = reader.string(hardLimits.sessionBytes)
    const fromStart = reader.position
    reader.skip(reader.varint())
    reader.skip(reader.varint())
    const senderEnd = reader.position
    const clientMsgId = reader.varint()
    reader.skip(1)
    const typeEnd = reader.position
    const bodyBytes = reader.varint()
    const bodyStart = reader.position
    reader.skip(bodyBytes)

    const refusal = this.ownership.refusal(rows, slot, slotEpoch)
    if (refusal !== undefined) return commandError(refusal)

    const seen = this.dedup.get(rows, slot, data.toString('latin1', senderStart, senderEnd))
    const before = this.dedup.find(seen, clientMsgId)
    if (before < 0) return commandError('DUPLICATE_EXPIRED')
    if (before > 0) {
      const body = data.subarray(bodyStart, bodyStart + bodyBytes)
      return this.#duplicate(rows, slot, session, before, data[typeEnd - 1]!, body)
    }

    const row = this.sessions.get(rows, slot, session)
    if (this.members.leaving(rows, row, localMembers, this.#space))
      return commandError('SLOT_SEALED')
    if (row.latest === 0) this.#slotRows.beginEra(rows, row, targetSets, this.#wallMs)
    const msgid = row.latest + 1
    const message = layMessage(msgid, this.#wallMs, data, fromStart, typeEnd, bodyStart + bodyBytes)
    this.#extend(rows, row, localMembers, msgid, message)
    if (targetCount !== row.targetSets.length || !sameNames(targetSets, row.targetSets)) {
      row.targetSets = targetSets
    }
    this.dedup.add(seen, clientMsgId, msgid)
    for (let i = 0; i < targetCount; i++) {
      const targetSet = targetSets[i]!
      const position = this.channels.push(rows, targetSet, { slot, session, msgid })
      this.#listener.queued(targetSet, position, row, message)
    }
    return { msgid, duplicate: false, atMs: this.#wallMs }
  }

  /** The same id again: the first answer, unless it now carries something else. */
  #duplicate(
    rows: Rows,
    slot: number,
    session: string,
    msgid: number,
    type: number,
    body: Buffer
  ): AppendResult | CommandError {
    const kept = getMessage(rows, slot, session, msgid)
    if (kept === undefined) return { msgid, duplicate: true, atMs: 0 }
    const first = decodeMessage(kept)
    if (first.type !== type || !first.body.equals(body)) return commandError('MESSAGE_ID_REUSED')
    return { msgid, duplicate: true, atMs: first.atMs }
  }

  /** Puts `message`, which is the one after the latest, at the end of a timeline. */
  #extend(rows: Rows, row: SessionRow, localMembers: number, msgid: number, message: Buffer): void {
    if (row.latest === 0) {
      row.first = 1
      const counters = this.counters.get(rows)
      counters.sessions++
      this.counters.touch(counters)
    }
    row.latest = msgid
    putMessage(rows, row.slot, row.session, msgid, message)
    this.members.index(rows, row, localMembers, this.#space)
    this.sessions.touch(row)
    this.#listener.appended(row, msgid, message)
  }

  #register(reader: ByteReader, rows: Rows): Registration | CommandError {
    const slot = reader.u16()
    const slotEpoch = reader.varint()
    const uid = reader.string(hardLimits.uidBytes)
    const route = routeField.read(reader)
    const refusal = this.ownership.refusal(rows, slot, slotEpoch)
    if (refusal !== undefined) return commandError(refusal)
    const registration = this.presence.register(rows, slot, uid, route)
    if ('replaced' in registration && registration.replaced.length > 0) {
      this.#listener.replaced(route, registration.replaced)
    }
    return registration
  }

  #unregister(reader: ByteReader, rows: Rows): { removed: boolean } | CommandError {
    const slot = reader.u16()
    const slotEpoch = reader.varint()
    const uid = reader.string(hardLimits.uidBytes)
    const route = routeField.read(reader)
    const refusal = this.ownership.refusal(rows, slot, slotEpoch)
    if (refusal !== undefined) return commandError(refusal)
    return { removed: this.presence.unregister(rows, slot, uid, route) }
  }

  #import(reader: ByteReader, rows: Rows): ImportResult {
    const sourceSet = readName(reader)
    const firstPosition = reader.varint()
    const count = reader.varint()
    const before = this.channels.applied(rows, sourceSet)
    let applied = before
    for (let i = 0; i < count; i++) {
      const slot = reader.u16()
      const localMembers = reader.varint()
      const session = reader.string(hardLimits.sessionBytes)
      const message = readSized(reader)
      if (firstPosition + i !== applied + 1) continue
      if (this.#place(rows, slot, session, localMembers, message) === 'full') continue
      applied++
    }
    if (applied > before) this.channels.setApplied(rows, sourceSet, applied)
    return { applied }
  }

  #fill(reader: ByteReader, rows: Rows): FillResult {
    const slot = reader.u16()
    const localMembers = reader.varint()
    const session = reader.string(hardLimits.sessionBytes)
    const count = reader.varint()
    for (let i = 0; i < count; i++) {
      this.#place(rows, slot, session, localMembers, readSized(reader))
    }
    return { latest: this.sessions.get(rows, slot, session).latest }
  }

  /**
   * Takes a message into a copy, which accepts only the next one. A higher one is dropped and remembered as a hole, to be pulled from home, so that the
   * channel goes on. `full`: no more holes can be remembered, and nothing happened.
   */
  #place(
    rows: Rows,
    slot: number,
    session: string,
    localMembers: number,
    message: Buffer
  ): 'done' | 'full' {
    // Its member has left meanwhile: whoever has taken the member in pulls it from home.
    if (localMembers === 0) {
      this.holes.close(rows, session)
      return 'done'
    }
    const row = this.sessions.get(rows, slot, session)
    const msgid = new ByteReader(message).varint()
    const state = this.ownership.state(rows, slot)
    if (this.members.leaving(rows, row, localMembers, this.#space)) return 'full'
    if (state === 'owned' || msgid <= row.latest) {
      // The session may have come with its slot, before its member here has heard of it.
      if (row.latest > 0) this.members.index(rows, row, localMembers, this.#space)
      return 'done'
    }
    // Its home is elsewhere already, and this set has yet to learn of it.
    if (state === 'sealed') return 'full'
    const next = msgid === row.latest + 1 || isNext(decodeMessage(message), row.latest)
    if (!next) {
      return this.holes.open(rows, slot, session, msgid, localMembers) ? 'done' : 'full'
    }
    this.#extend(rows, row, localMembers, msgid, Buffer.from(message))
    this.holes.filled(rows, session, msgid)
    return 'done'
  }

  #raiseSequence(reader: ByteReader, rows: Rows): SequenceRange | CommandError {
    const slot = reader.u16()
    const slotEpoch = reader.varint()
    const name = readName(reader)
    const step = reader.varint()
    const refusal = this.ownership.refusal(rows, slot, slotEpoch)
    if (refusal !== undefined) return commandError(refusal)
    return this.sequences.raise(rows, slot, name, step, this.#slotRows.era(rows, slot))
  }

  #flush(rows: Rows): void {
    this.ownership.flush(rows)
    this.sessions.flush(rows)
    this.dedup.flush(rows)
    this.transfers.flush(rows)
    this.presence.flush(rows)
    this.users.flush(rows)
    this.channels.flush(rows)
    this.holes.flush(rows)
    this.sequences.flush(rows)
    this.counters.flush(rows)
  }
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
