import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readSync,
  write,
  writeSync
} from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { ByteReader, ByteWriter } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import type { Identity } from './state-codec.ts'

/**
 * The small file beside the database that remembers what a damaged or missing database must not make the node forget: who it is,
 * which term it is in and whom it voted for, and how far the database was once durable. Two slots are written in turn, so a torn
 * write leaves the other one.
 */
export interface MetaState {
  readonly identity: Identity
  /** Sequence of a batch known to be durable: a database that ends before it has lost something. */
  watermark: number
  /** LevelDB found its own files damaged while running: they are not to be opened again. */
  databaseDamaged: boolean
  readonly groups: Map<string, MetaGroup>
}

export interface MetaGroup {
  readonly term: number
  readonly vote: number
  /** A row was found damaged while running: its rows are not to be used again. */
  readonly rowsDamaged: boolean
}

const slotBytes = 64 * 1024
const headerBytes = 18
const magic = 0x52534d31

export type MetaFound = { state: MetaState; version: number } | 'absent' | 'damaged'

/** Reads the newest good slot. */
export function readMetaFile(path: string): MetaFound {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'absent'
    throw error
  }
  try {
    const bytes = Buffer.alloc(2 * slotBytes)
    readSync(file, bytes, 0, bytes.length, 0)
    const slots = [decodeSlot(bytes, 0), decodeSlot(bytes, slotBytes)]
    const best = slots
      .filter(slot => slot !== undefined)
      .sort((a, b) => b.version - a.version)
      .at(0)
    return best ?? 'damaged'
  } finally {
    closeSync(file)
  }
}

export class MetaFile {
  readonly state: MetaState
  readonly #file: number
  readonly #fail: (error: Error) => void
  #version: number
  #writing = false
  #waiting: (() => void)[] = []
  #idle: (() => void)[] = []
  readonly #scratch = new ByteWriter(4096)

  /** Writes both slots durably, creating the file if need be, before it returns. @param fail a write failed: stop the process. */
  constructor(path: string, state: MetaState, version: number, fail: (error: Error) => void) {
    this.state = state
    this.#version = version
    this.#fail = fail
    this.#file = openSync(path, openFlags, 0o600)
    this.writeNow()
    this.writeNow()
    const directory = openSync(dirname(path), 'r')
    fsyncSync(directory)
    closeSync(directory)
  }

  /** Remembers term and vote. True when that is news and `write` must complete before they may be relied on. */
  setVote(group: string, term: number, vote: number): boolean {
    const known = this.state.groups.get(group)
    if (known?.term === term && known.vote === vote) return false
    this.state.groups.set(group, { term, vote, rowsDamaged: known?.rowsDamaged ?? false })
    return true
  }

  /** Durable when it returns: it is the last thing before the process stops. */
  markRowsDamaged(group: string): void {
    const known = this.state.groups.get(group) ?? { term: 0, vote: 0 }
    this.state.groups.set(group, { ...known, rowsDamaged: true })
    this.writeNow()
  }

  /** Durable when it returns, as `markRowsDamaged`. */
  markDatabaseDamaged(): void {
    this.state.databaseDamaged = true
    this.writeNow()
  }

  /** What was found damaged has been given up. Durable with the next write. */
  clearDamaged(): void {
    this.state.databaseDamaged = false
    for (const [name, group] of this.state.groups) {
      if (group.rowsDamaged) this.state.groups.set(name, { ...group, rowsDamaged: false })
    }
  }

  /** Calls `done` once everything set before the call is durable. */
  write(done: () => void): void {
    this.#waiting.push(done)
    if (!this.#writing) this.#writeNext()
  }

  /** The same, blocking; for the way down. */
  writeNow(): void {
    const slot = this.#encode()
    writeSync(this.#file, slot, 0, slot.length, this.#offset())
    fdatasyncSync(this.#file)
  }

  /** After the write under way, for its descriptor may belong to another file by then. */
  async close(): Promise<void> {
    this.#waiting = []
    if (this.#writing) await new Promise<void>(resolve => this.#idle.push(resolve))
    closeSync(this.#file)
  }

  #writeNext(): void {
    const served = this.#waiting
    this.#waiting = []
    this.#writing = true
    const slot = Buffer.from(this.#encode())
    write(this.#file, slot, 0, slot.length, this.#offset(), (writeError, written) => {
      if (writeError || written !== slot.length) {
        return this.#failed(writeError ?? new Error('short write to the meta file'))
      }
      fdatasync(this.#file, syncError => {
        if (syncError) return this.#failed(syncError)
        for (const done of served) done()
        this.#writing = false
        if (this.#waiting.length > 0) this.#writeNext()
        else for (const resolve of this.#idle.splice(0)) resolve()
      })
    })
  }

  #failed(error: Error): void {
    this.#writing = false
    for (const resolve of this.#idle.splice(0)) resolve()
    this.#fail(error)
  }

  #offset(): number {
    return (this.#version % 2) * slotBytes
  }

  #encode(): Buffer {
    this.#version++
    const writer = this.#scratch
    writer.reset()
    writer.u32(magic)
    writer.u48(this.#version)
    writer.u32(0)
    writer.u32(0)
    encodeState(writer, this.state)
    const sizeBytes = writer.length
    assert(sizeBytes <= slotBytes, 'the meta file has room for all groups', { sizeBytes })
    writer.patchU32(10, sizeBytes)
    writer.patchU32(14, crc32(writer.finish()))
    return writer.finish()
  }
}

const openFlags = constants.O_RDWR | constants.O_CREAT

function encodeState(writer: ByteWriter, state: MetaState): void {
  writer.string(state.identity.node)
  writer.u48(state.identity.incarnation)
  writer.u48(state.watermark)
  writer.u8(state.databaseDamaged ? 1 : 0)
  writer.u32(state.groups.size)
  for (const [name, group] of state.groups) {
    writer.string(name)
    writer.u48(group.term)
    writer.u8(group.vote)
    writer.u8(group.rowsDamaged ? 1 : 0)
  }
}

function decodeSlot(
  bytes: Buffer,
  offset: number
): { state: MetaState; version: number } | undefined {
  if (bytes.readUInt32BE(offset) !== magic) return undefined
  const version = bytes.readUIntBE(offset + 4, 6)
  const sizeBytes = bytes.readUInt32BE(offset + 10)
  if (sizeBytes < headerBytes || sizeBytes > slotBytes) return undefined
  const slot = Buffer.from(bytes.subarray(offset, offset + sizeBytes))
  const checksum = slot.readUInt32BE(14)
  slot.writeUInt32BE(0, 14)
  if (crc32(slot) !== checksum) return undefined
  const reader = new ByteReader(slot, headerBytes)
  const node = reader.string(slotBytes)
  const identity = { node, incarnation: reader.u48() }
  const watermark = reader.u48()
  const databaseDamaged = reader.u8() === 1
  const groups = new Map<string, MetaGroup>()
  for (let count = reader.u32(); count > 0; count--) {
    const name = reader.string(slotBytes)
    groups.set(name, { term: reader.u48(), vote: reader.u8(), rowsDamaged: reader.u8() === 1 })
  }
  return { state: { identity, watermark, databaseDamaged, groups }, version }
}
