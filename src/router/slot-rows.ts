import { ByteReader, ByteWriter } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import { breakMessage, eraMessages } from '../protocol/eras.ts'
import { hardLimits } from '../protocol/kinds.ts'
import type { Rows } from '../raft/state-machine.ts'
import type { SlotSpace } from '../table/slot-of.ts'
import { readSized } from './commands.ts'
import { membersIn } from './members.ts'
import {
  readBreakSessions,
  readImportHead,
  readImportSessions,
  readSlotStep
} from './move-commands.ts'
import type { MachineListener, RouterMachine } from './router-machine.ts'
import { slotPrefix } from './row-keys.ts'
import type { SessionRow } from './sessions.ts'
import { firstMessage, getMessage, putMessage, writeMessage } from './timelines.ts'

/** Rows of a slot by what they are, in the order of their keys. */
export type SlotRowKind =
  | 'dedup'
  | 'era'
  | 'presence'
  | 'sequence'
  | 'session'
  | 'timeline'
  | 'user'
  | 'user-page'

export interface SlotRowName {
  readonly slot: number
  readonly kind: SlotRowKind
  /** What follows the kind. */
  readonly id: string
}

/** Takes the key of a slot's row apart. */
export function slotRowName(key: string): SlotRowName {
  const at = key.indexOf('/', 5)
  const slot = Number.parseInt(key.slice(0, 4), 16)
  return { slot, kind: key.slice(5, at) as SlotRowKind, id: key.slice(at + 1) }
}

/** How often the slot was recovered from a lost set, as a varint; missing if never. */
export const eraKey = (slot: number): string => `${slotPrefix(slot)}/era/count`

export const sessionKey = (slot: number, session: string): string =>
  `${slotPrefix(slot)}/session/${session}`

/** What entries do to the rows of slots on their way: one part of the router's state machine. */
export class SlotRows {
  readonly #machine: RouterMachine
  readonly #listener: MachineListener

  constructor(machine: RouterMachine, listener: MachineListener) {
    this.#machine = machine
    this.#listener = listener
  }

  step(reader: ByteReader, rows: Rows, slotCount: number): { done: boolean } {
    const { step, slot, move, epoch } = readSlotStep(reader)
    const done = this.#machine.ownership.step(rows, slotCount, slot, step, move, epoch)
    // A set that was lost may have told of messages which it took with it.
    if (done && step === 'take') this.#machine.holes.closeHome(rows, slot)
    return { done }
  }

  /** Messages come before the session that they are of: until then nobody sees them. */
  importMessages(reader: ByteReader, rows: Rows): { done: boolean } {
    const { slot, move } = readImportHead(reader)
    const done = this.#coming(rows, slot, move)
    const count = reader.varint()
    for (let i = 0; i < count; i++) {
      const homeSlot = reader.u16()
      const session = reader.string(hardLimits.sessionBytes)
      const msgid = reader.varint()
      const message = readSized(reader)
      if (!done || msgid <= this.#machine.sessions.get(rows, homeSlot, session).latest) continue
      putMessage(rows, homeSlot, session, msgid, Buffer.from(message))
    }
    return { done }
  }

  /**
   * Sessions that live in the slot, and copies that its users have. A copy that is here already goes on; of a session at home here only
   * its new member is noted.
   */
  importSessions(reader: ByteReader, rows: Rows, space: SlotSpace): { done: boolean } {
    const { slot, move } = readImportHead(reader)
    const done = this.#coming(rows, slot, move)
    for (const moved of readImportSessions(reader)) {
      if (!done) continue
      const row = this.#machine.sessions.get(rows, moved.slot, moved.session)
      const state = this.#machine.ownership.state(rows, moved.slot)
      if (state !== 'owned' && state !== 'sealed') this.#extend(rows, row, moved.latest)
      row.localMembers |= membersIn(row.session, slot, space)
      this.#machine.sessions.touch(row)
    }
    return { done }
  }

  /** Users wait for this: only what somebody here has yet to hear of is read. */
  #extend(rows: Rows, row: SessionRow, latest: number): void {
    const { slot, session } = row
    if (latest <= row.latest) return
    if (row.latest === 0) {
      row.first = 1
      this.#count(rows, 0, 1)
    }
    if (row.localMembers === 0) {
      const there = getMessage(rows, slot, session, latest) !== undefined
      assert(there, 'messages come before their session', { latest })
      row.latest = latest
    }
    while (row.latest < latest) {
      const next = firstMessage(rows, slot, session, row.latest + 1, latest)
      assert(next !== undefined, 'messages come before their session', { latest: row.latest })
      row.latest = next.msgid
      this.#listener.appended(row, next.msgid, next.row)
    }
    this.#machine.holes.filled(rows, session, latest)
  }

  /** The sessions that live in a slot which comes from a lost set go on in a new era, and all their members hear of it. */
  breakSessions(reader: ByteReader, rows: Rows, wallMs: number): { done: boolean } {
    const { slot, move } = readImportHead(reader)
    const { era, sessions } = readBreakSessions(reader)
    const done = this.#coming(rows, slot, move)
    for (const { session, targetSets } of sessions) {
      const row = this.#machine.sessions.get(rows, slot, session)
      // It was imported before, by a leader that has lost its office since.
      if (!done || row.latest === 0 || row.latest >= era * eraMessages) continue
      this.#break(rows, row, era, targetSets, wallMs)
    }
    return { done }
  }

  /** A session without a message, in a slot that was recovered, may have had some that are lost: it does not begin with 1 again. */
  beginEra(rows: Rows, row: SessionRow, targetSets: readonly string[], wallMs: number): void {
    const era = this.era(rows, row.slot)
    if (era === 0) return
    row.first = era * eraMessages
    this.#count(rows, 0, 1)
    this.#break(rows, row, era, targetSets, wallMs)
  }

  /** How often the slot was recovered from a lost set. */
  era(rows: Rows, slot: number): number {
    const row = rows.get(eraKey(slot))
    return row === undefined ? 0 : new ByteReader(row).varint()
  }

  #break(
    rows: Rows,
    row: SessionRow,
    era: number,
    targetSets: readonly string[],
    wallMs: number
  ): void {
    const made = breakMessage(era, row.latest, wallMs)
    const writer = new ByteWriter(64)
    writeMessage(writer, made)
    const message = writer.copy()
    const { msgid } = made
    row.latest = msgid
    putMessage(rows, row.slot, row.session, msgid, message)
    this.#machine.sessions.touch(row)
    if (row.localMembers !== 0) this.#listener.appended(row, msgid, message)
    this.#queue(rows, row, msgid, message, targetSets)
  }

  #queue(
    rows: Rows,
    row: SessionRow,
    msgid: number,
    message: Buffer,
    targetSets: readonly string[]
  ): void {
    const { slot, session } = row
    for (const targetSet of targetSets) {
      const position = this.#machine.channels.push(rows, targetSet, { slot, session, msgid })
      this.#listener.queued(targetSet, position, row, message)
    }
  }

  /** All else that a slot has, as it is. */
  importRows(reader: ByteReader, rows: Rows): { done: boolean } {
    const { slot, move } = readImportHead(reader)
    const done = this.#coming(rows, slot, move)
    const count = reader.varint()
    for (let i = 0; i < count; i++) {
      const key = reader.string(hardLimits.rowKeyBytes)
      const value = reader.bytes(hardLimits.frameBytes)
      const name = slotRowName(key)
      assert(name.slot === slot, 'a row is of the slot that comes', { slot })
      if (!done) continue
      if (name.kind === 'user' && rows.get(key) === undefined) this.#count(rows, 1, 0)
      this.#forget(name)
      rows.put(key, Buffer.from(value))
    }
    return { done }
  }

  /** A message goes out once more, to where its members live now. */
  redirect(reader: ByteReader, rows: Rows, space: SlotSpace): { done: boolean } {
    const slot = reader.u16()
    const session = reader.string(hardLimits.sessionBytes)
    const msgid = reader.varint()
    const localMembers = reader.varint()
    const targetSets: string[] = []
    const count = reader.u8()
    for (let i = 0; i < count; i++) targetSets.push(reader.string(hardLimits.nameBytes))
    const { sessions, members } = this.#machine
    const row = sessions.get(rows, slot, session)
    const message = getMessage(rows, slot, session, msgid)
    if (message === undefined || members.leaving(rows, row, localMembers, space)) {
      return { done: false }
    }
    members.index(rows, row, localMembers, space)
    this.#queue(rows, row, msgid, message, targetSets)
    return { done: true }
  }

  /** Rows that a slot left behind. What somebody who stayed has a share in stays. */
  dropRows(reader: ByteReader, rows: Rows, space: SlotSpace): { done: boolean } {
    const slot = reader.u16()
    const epoch = reader.varint()
    const { ownership } = this.#machine
    const coming = ownership.count(rows, 'importing') + ownership.count(rows, 'imported')
    const left = ownership.state(rows, slot) === 'gone' && ownership.slotEpoch(rows, slot) === epoch
    const done = left && coming === 0
    const count = reader.varint()
    for (let i = 0; i < count; i++) {
      const key = reader.string(hardLimits.rowKeyBytes)
      if (done) this.#drop(rows, slot, key, space)
    }
    return { done }
  }

  #drop(rows: Rows, slot: number, key: string, space: SlotSpace): void {
    const name = slotRowName(key)
    if (name.kind === 'session') {
      this.#dropSession(rows, slot, name, space)
      return
    }
    if (name.kind === 'timeline') {
      const session = name.id.slice(0, name.id.lastIndexOf('/'))
      if (this.#machine.sessions.get(rows, name.slot, session).latest === 0) rows.delete(key)
      return
    }
    if (name.slot !== slot) return
    if (name.kind === 'user' && rows.get(key) !== undefined) this.#count(rows, -1, 0)
    this.#forget(name)
    rows.delete(key)
  }

  #dropSession(
    rows: Rows,
    slot: number,
    { slot: homeSlot, id: session }: SlotRowName,
    space: SlotSpace
  ): void {
    const row = this.#machine.sessions.get(rows, homeSlot, session)
    const state = this.#machine.ownership.state(rows, homeSlot)
    row.localMembers &= ~membersIn(session, slot, space)
    if (row.localMembers !== 0 || state === 'owned' || state === 'sealed') {
      this.#machine.sessions.touch(row)
      return
    }
    if (row.latest > 0) this.#count(rows, 0, -1)
    this.#machine.holes.close(rows, session)
    this.#machine.sessions.clear(row)
  }

  #coming(rows: Rows, slot: number, move: number): boolean {
    const { ownership } = this.#machine
    return ownership.state(rows, slot) === 'importing' && ownership.move(rows, slot) === move
  }

  #forget({ kind, id }: SlotRowName): void {
    const { dedup, presence, sequences, users } = this.#machine
    if (kind === 'dedup') dedup.forget(id)
    else if (kind === 'presence') presence.forget(id)
    else if (kind === 'sequence') sequences.forget(id)
    else if (kind !== 'era') users.forget(kind === 'user', id)
  }

  #count(rows: Rows, users: number, sessions: number): void {
    const counters = this.#machine.counters.get(rows)
    counters.users += users
    counters.sessions += sessions
    this.#machine.counters.touch(counters)
  }
}

/** Sessions that a row of the user index names. */
export function sessionsOfPage(value: Buffer): string[] {
  const reader = new ByteReader(value)
  const sessions: string[] = []
  const count = reader.u8()
  for (let i = 0; i < count; i++) sessions.push(reader.string(hardLimits.sessionBytes))
  return sessions
}
