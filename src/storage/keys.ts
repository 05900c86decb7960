/**
 * The key space of a process's database. Numbers are big-endian, so that keys of one kind sort by them; `group` is a length byte
 * and the group's name. Every value but a log record ends in a CRC-32 over key and value (see `seal`).
 *
 * | key                               | value                                                                  |
 * |-----------------------------------|------------------------------------------------------------------------|
 * | 01                                | identity: of which node, and which incarnation of its data             |
 * | 02 sequence:u48                   | super record of one batch: floor, digest over all groups, chain        |
 * | 10 group                          | hard state: term, vote, commit                                         |
 * | 11 group                          | progress: applied index, generation of the live rows                   |
 * | 12 group                          | membership as of the applied index                                     |
 * | 13 group                          | log start: index, term and chain of the entry before the first         |
 * | 14 group                          | snapshot being received: id, meta, generation, chunks held             |
 * | 15 group                          | quarantine: why, until the replica has caught up                       |
 * | 16 group                          | standing: incarnation, whether a member, how far each peer was         |
 * | 20 group firstIndex:u48           | log record: the packed entries of one append, chained to the one before|
 * | 30 group generation:u32 key:utf8  | state-machine row                                                      |
 */
const kinds = {
  identity: 0x01,
  super: 0x02,
  hardState: 0x10,
  progress: 0x11,
  membership: 0x12,
  logStart: 0x13,
  install: 0x14,
  quarantine: 0x15,
  standing: 0x16,
  log: 0x20,
  rows: 0x30
} as const

/** Longest name of a group, in bytes of UTF-8. */
export const groupNameLimitBytes = 200

export const identityKey = Buffer.from([kinds.identity])

export function superKey(sequence: number): Buffer {
  const key = Buffer.allocUnsafe(7)
  key[0] = kinds.super
  key.writeUIntBE(sequence, 1, 6)
  return key
}

export function sequenceOfSuperKey(key: Buffer): number {
  return key.readUIntBE(1, 6)
}

/** All hard states: the list of the groups. */
export const hardStateRange = {
  gte: Buffer.from([kinds.hardState]),
  lt: Buffer.from([kinds.hardState + 1])
}

export const superRange = {
  gte: Buffer.from([kinds.super]),
  lt: Buffer.from([kinds.super + 1])
}

export function groupOfHardStateKey(key: Buffer): string {
  return key.toString('utf8', 2)
}

export interface KeyRange {
  readonly gte: Buffer
  readonly lt: Buffer
}

/** The keys of one group. */
export class GroupKeys {
  readonly hardState: Buffer
  readonly progress: Buffer
  readonly membership: Buffer
  readonly logStart: Buffer
  readonly install: Buffer
  readonly quarantine: Buffer
  readonly standing: Buffer
  readonly #log: Buffer
  readonly #rows: Buffer

  constructor(group: string) {
    const name = Buffer.from(group, 'utf8')
    const of = (kind: number): Buffer => Buffer.concat([Buffer.from([kind, name.length]), name])
    this.hardState = of(kinds.hardState)
    this.progress = of(kinds.progress)
    this.membership = of(kinds.membership)
    this.logStart = of(kinds.logStart)
    this.install = of(kinds.install)
    this.quarantine = of(kinds.quarantine)
    this.standing = of(kinds.standing)
    this.#log = of(kinds.log)
    this.#rows = of(kinds.rows)
  }

  log(firstIndex: number): Buffer {
    const at = this.#log.length
    const key = Buffer.allocUnsafe(at + 6)
    key.set(this.#log)
    key.writeUIntBE(firstIndex, at, 6)
    return key
  }

  indexOfLogKey(key: Buffer): number {
    return key.readUIntBE(this.#log.length, 6)
  }

  /** Log records whose first index is from ≤ index < to. */
  logRange(from: number, to: number): KeyRange {
    return { gte: this.log(from), lt: this.log(to) }
  }

  /** What the keys of all rows of a generation begin with. */
  rowPrefix(generation: number): Buffer {
    const at = this.#rows.length
    const key = Buffer.allocUnsafe(at + 4)
    key.set(this.#rows)
    key.writeUInt32BE(generation, at)
    return key
  }

  generationOfRowKey(key: Buffer): number {
    return key.readUInt32BE(this.#rows.length)
  }

  /** Rows whose generation is from ≤ generation < to. */
  rowRange(from: number, to: number): KeyRange {
    return { gte: this.rowPrefix(from), lt: this.rowPrefix(to) }
  }
}

/** Above every index and sequence ever used. */
export const maxIndex = 2 ** 48 - 1
export const maxGeneration = 2 ** 32 - 1
