import { ByteReader, ByteWriter } from '../base/bytes.ts'
import { RingsetError } from '../base/errors.ts'
import {
  type Addressed,
  type Entry,
  type EntryKind,
  type Membership,
  type RaftMessage,
  type ReplicaId,
  standings,
  verdicts
} from './types.ts'

/** First byte of a message. Numbers are never re-used. */
const typeNumbers = {
  preVote: 1,
  preVoteAnswer: 2,
  vote: 3,
  voteAnswer: 4,
  append: 5,
  appendAnswer: 6,
  heartbeat: 7,
  heartbeatAnswer: 8,
  snapshot: 9,
  snapshotAnswer: 10,
  timeoutNow: 11,
  readIndex: 12,
  readIndexAnswer: 13,
  claim: 14,
  claimAnswer: 15
} as const satisfies Record<RaftMessage['type'], number>

const typeByNumber = new Map<number, RaftMessage['type']>(
  Object.entries(typeNumbers).map(([type, number]) => [number, type as RaftMessage['type']])
)

const headerBytes = 64
const entryHeaderBytes = 14
const highestKind = 2

/**
 * Whether a message may overtake others on its way, so that no election is held up behind bulk. What carries entries or rows may
 * not: an append that comes before its predecessor is rejected and costs both again.
 */
export function mayOvertake({ type }: RaftMessage): boolean {
  return type !== 'append' && type !== 'snapshot'
}

/** Exact enough to allocate once: bodies by their length, everything else by its bound. */
function sizeHint(message: RaftMessage): number {
  if (message.type === 'append') {
    let bytes = headerBytes
    for (const entry of message.entries) bytes += entry.data.length + entryHeaderBytes
    return bytes
  }
  return message.type === 'snapshot' ? headerBytes + 800 + message.data.length : headerBytes
}

/** @returns a buffer of its own. Numbers must be safe integers ≥ 0. */
export function encodeRaftMessage(message: RaftMessage): Buffer {
  const writer = new ByteWriter(sizeHint(message))
  writer.u8(typeNumbers[message.type])
  writer.u8(message.from)
  writer.u8(message.to)
  writer.varint(message.term)
  writeBody(writer, message)
  return writer.finish()
}

function writeBody(writer: ByteWriter, message: RaftMessage): void {
  switch (message.type) {
    case 'preVote':
    case 'vote':
      writer.varint(message.lastIndex)
      writer.varint(message.lastTerm)
      writer.u8(message.force ? 1 : 0)
      writer.varint(message.commit)
      writer.varint(message.commitTerm)
      return
    case 'preVoteAnswer':
    case 'voteAnswer':
      writer.u8(message.granted ? 1 : 0)
      writer.varint(message.commit)
      writer.varint(message.commitTerm)
      return
    case 'append':
      writer.varint(message.prevIndex)
      writer.varint(message.prevTerm)
      writer.varint(message.commit)
      writeEntries(writer, message.entries)
      return
    case 'appendAnswer':
      writer.u8((message.rejected ? 1 : 0) | (message.quarantined ? 2 : 0))
      writer.varint(message.index)
      writer.varint(message.hintIndex)
      writer.varint(message.hintTerm)
      return
    case 'heartbeat':
      writer.varint(message.commit)
      writer.varint(message.round)
      return
    case 'heartbeatAnswer':
      writer.u8((message.quarantined ? 1 : 0) | (message.reluctant ? 2 : 0))
      writer.varint(message.round)
      return
    default:
      writeRest(writer, message)
  }
}

type RestMessage = Extract<
  RaftMessage,
  {
    type:
      | 'snapshot'
      | 'snapshotAnswer'
      | 'timeoutNow'
      | 'readIndex'
      | 'readIndexAnswer'
      | 'claim'
      | 'claimAnswer'
  }
>

function writeRest(writer: ByteWriter, message: RestMessage): void {
  switch (message.type) {
    case 'snapshot':
      writer.varint(message.meta.index)
      writer.varint(message.meta.term)
      writeMembership(writer, message.meta.membership)
      writer.varint(message.snapshotId)
      writer.varint(message.chunk)
      writer.u8(message.last ? 1 : 0)
      writer.u32(message.crc)
      writer.bytes(message.data)
      return
    case 'snapshotAnswer':
      writer.varint(message.snapshotId)
      writer.varint(message.nextChunk + 1)
      writer.u8(message.installed ? 1 : 0)
      writer.varint(message.index)
      return
    case 'timeoutNow':
      return
    case 'readIndex':
      writer.varint(message.token)
      writer.u8(message.amnesiac ? 1 : 0)
      return
    case 'readIndexAnswer':
      writer.varint(message.token)
      writer.varint(message.index)
      return
    case 'claim':
      writer.varint(message.token)
      writer.u8(standings.indexOf(message.standing))
      writer.varint(message.incarnation)
      writer.varint(message.lastIndex)
      writer.varint(message.lastTerm)
      return
    case 'claimAnswer':
      writer.varint(message.token)
      writer.u8(verdicts.indexOf(message.verdict))
      writer.varint(message.evidence.term)
      writer.varint(message.evidence.lastTerm)
      writer.varint(message.evidence.lastIndex)
      writer.u8(standings.indexOf(message.standing))
      writer.varint(message.incarnation)
      writer.u8(message.founders.length)
      for (const { id, incarnation } of message.founders) {
        writer.u8(id)
        writer.varint(incarnation)
      }
  }
}

/** Indexes follow from `prevIndex`, so they are not sent. */
function writeEntries(writer: ByteWriter, entries: readonly Entry[]): void {
  writer.varint(entries.length)
  for (const entry of entries) {
    writer.u8(entry.kind)
    writer.varint(entry.term)
    writer.bytes(entry.data)
  }
}

/**
 * Reads one message. Everything that outlives the call (entries' data, a snapshot chunk) is copied
 * out of `input`.
 * @throws BAD_PACKET for anything malformed.
 */
export function decodeRaftMessage(input: Buffer): RaftMessage {
  const reader = new ByteReader(input)
  const number = reader.u8()
  const type = typeByNumber.get(number)
  if (type === undefined) throw bad('an unknown Raft message', { number })
  const from = readId(reader)
  const to = readId(reader)
  const term = reader.varint()
  const message = readBody(reader, input, type, { from, to, term })
  if (message.type !== 'append') reader.end()
  return message
}

function readBody(
  reader: ByteReader,
  input: Buffer,
  type: RaftMessage['type'],
  { from, to, term }: Addressed
): RaftMessage {
  switch (type) {
    case 'preVote':
    case 'vote': {
      const lastIndex = reader.varint()
      const lastTerm = reader.varint()
      const force = readFlags(reader, 1) === 1
      const commit = reader.varint()
      const commitTerm = reader.varint()
      return { type, from, to, term, lastIndex, lastTerm, force, commit, commitTerm }
    }
    case 'preVoteAnswer':
    case 'voteAnswer': {
      const granted = readFlags(reader, 1) === 1
      const commit = reader.varint()
      return { type, from, to, term, granted, commit, commitTerm: reader.varint() }
    }
    case 'append': {
      const prevIndex = reader.varint()
      const prevTerm = reader.varint()
      const commit = reader.varint()
      const rest = Buffer.from(input.subarray(reader.position))
      const entries = readEntries(new ByteReader(rest), prevIndex, prevTerm, term)
      return { type, from, to, term, prevIndex, prevTerm, commit, entries }
    }
    case 'appendAnswer': {
      const flags = readFlags(reader, 3)
      const index = reader.varint()
      const hintIndex = reader.varint()
      const hintTerm = reader.varint()
      const rejected = (flags & 1) !== 0
      const quarantined = (flags & 2) !== 0
      return { type, from, to, term, rejected, index, hintIndex, hintTerm, quarantined }
    }
    case 'heartbeat': {
      const commit = reader.varint()
      return { type, from, to, term, commit, round: reader.varint() }
    }
    case 'heartbeatAnswer': {
      const flags = readFlags(reader, 3)
      const quarantined = (flags & 1) !== 0
      const reluctant = (flags & 2) !== 0
      return { type, from, to, term, round: reader.varint(), quarantined, reluctant }
    }
    default:
      return readRest(reader, type, { from, to, term })
  }
}

function readRest(
  reader: ByteReader,
  type: RestMessage['type'],
  { from, to, term }: Addressed
): RaftMessage {
  switch (type) {
    case 'snapshot': {
      const index = reader.varint()
      const metaTerm = reader.varint()
      const meta = { index, term: metaTerm, membership: readMembership(reader) }
      const snapshotId = reader.varint()
      const chunk = reader.varint()
      const last = readFlags(reader, 1) === 1
      const crc = reader.u32()
      const data = Buffer.from(reader.bytes(reader.remaining))
      return { type, from, to, term, meta, snapshotId, chunk, last, crc, data }
    }
    case 'snapshotAnswer': {
      const snapshotId = reader.varint()
      const nextChunk = reader.varint() - 1
      const installed = readFlags(reader, 1) === 1
      return { type, from, to, term, snapshotId, nextChunk, installed, index: reader.varint() }
    }
    case 'timeoutNow':
      return { type, from, to, term }
    case 'readIndex': {
      const token = reader.varint()
      return { type, from, to, term, token, amnesiac: readFlags(reader, 1) === 1 }
    }
    case 'readIndexAnswer': {
      const token = reader.varint()
      return { type, from, to, term, token, index: reader.varint() }
    }
    case 'claim': {
      const token = reader.varint()
      const standing = standings[readFlags(reader, standings.length - 1)]!
      const incarnation = reader.varint()
      const lastIndex = reader.varint()
      const lastTerm = reader.varint()
      return { type, from, to, term, token, standing, incarnation, lastIndex, lastTerm }
    }
    case 'claimAnswer': {
      const token = reader.varint()
      const verdict = verdicts[readFlags(reader, verdicts.length - 1)]!
      const evidence = {
        term: reader.varint(),
        lastTerm: reader.varint(),
        lastIndex: reader.varint()
      }
      const standing = standings[readFlags(reader, standings.length - 1)]!
      const incarnation = reader.varint()
      const founders = Array.from({ length: reader.u8() }, () => {
        return { id: readId(reader), incarnation: reader.varint() }
      })
      return { type, from, to, term, token, verdict, evidence, standing, incarnation, founders }
    }
  }
}

/** `reader` runs over a copy of the message's end, which all entries of the message share. */
function readEntries(
  reader: ByteReader,
  prevIndex: number,
  prevTerm: number,
  messageTerm: number
): Entry[] {
  const count = reader.varint()
  // Each takes three bytes at least, so that a lie about the count cannot make us allocate.
  if (count > reader.remaining / 3) throw bad('more entries than bytes', { count })
  if (prevIndex + count > Number.MAX_SAFE_INTEGER) throw bad('an index is over 53 bits')
  const entries: Entry[] = []
  let lastTerm = prevTerm
  for (let i = 1; i <= count; i++) {
    const kind = readFlags(reader, highestKind) as EntryKind
    const term = reader.varint()
    if (term < lastTerm || term > messageTerm) throw bad('an entry of an impossible term', { term })
    lastTerm = term
    entries.push({ index: prevIndex + i, term, kind, data: reader.bytes(reader.remaining) })
  }
  reader.end()
  return entries
}

function readId(reader: ByteReader): ReplicaId {
  const id = reader.u8()
  if (id === 0) throw bad('replica 0')
  return id
}

function readFlags(reader: ByteReader, highest: number): number {
  const value = reader.u8()
  if (value > highest) throw bad('an unknown flag', { value })
  return value
}

/** @returns a buffer of its own; the data of a `config` entry. */
export function encodeMembership(membership: Membership): Buffer {
  const writer = new ByteWriter(32)
  writeMembership(writer, membership)
  return writer.finish()
}

/** @throws BAD_PACKET when malformed, without voters, or when a voter is a learner too. */
export function decodeMembership(input: Buffer): Membership {
  const reader = new ByteReader(input)
  const membership = readMembership(reader)
  reader.end()
  return membership
}

function writeMembership(writer: ByteWriter, membership: Membership): void {
  writeIds(writer, membership.voters)
  writeIds(writer, membership.outgoing)
  writeIds(writer, membership.learners)
}

function writeIds(writer: ByteWriter, ids: readonly ReplicaId[]): void {
  writer.u8(ids.length)
  for (const id of ids) writer.u8(id)
}

function readMembership(reader: ByteReader): Membership {
  const voters = readIds(reader)
  const outgoing = readIds(reader)
  const learners = readIds(reader)
  if (voters.length === 0) throw bad('a membership without voters')
  if (learners.some(id => voters.includes(id))) throw bad('a voter that is a learner too')
  return { voters, outgoing, learners }
}

function readIds(reader: ByteReader): ReplicaId[] {
  const count = reader.u8()
  const ids: ReplicaId[] = []
  for (let i = 0; i < count; i++) ids.push(readId(reader))
  if (new Set(ids).size !== count) throw bad('a replica is named twice')
  return ids
}

function bad(text: string, facts: Readonly<Record<string, number>> = {}): RingsetError {
  return new RingsetError('BAD_PACKET', text, facts)
}
