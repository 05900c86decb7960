import { ByteReader, ByteWriter } from '../base/bytes.ts'
import type {
  HardState,
  Membership,
  PeerRecord,
  SnapshotMeta,
  StandingRecord
} from '../raft/types.ts'

/** The bodies of a group's small rows. They are sealed, so a reader never meets anything but what a writer wrote. */

export interface Progress {
  readonly applied: number
  /** Which rows are the live ones. */
  readonly generation: number
}

/** The point before the first entry of the log. */
export interface LogStart {
  readonly index: number
  readonly term: number
  readonly chain: number
}

export interface Install {
  readonly snapshotId: number
  readonly meta: SnapshotMeta
  readonly generation: number
  readonly chunks: number
}

export interface Identity {
  readonly node: string
  /** Random per life of the data: another one means that a peer may rely on nothing it was told before. */
  readonly incarnation: number
}

/** One per batch. `floor` is the oldest sequence still kept: between it and the newest none may be missing. */
export interface SuperRecord {
  readonly sequence: number
  readonly floor: number
  readonly digest: number
  readonly chainBefore: number
  readonly chain: number
}

export function encodeHardState(state: HardState): Buffer {
  const body = Buffer.allocUnsafe(13)
  body.writeUIntBE(state.term, 0, 6)
  body[6] = state.vote
  body.writeUIntBE(state.commit, 7, 6)
  return body
}

export function decodeHardState(body: Buffer): HardState {
  const reader = new ByteReader(body)
  return { term: reader.u48(), vote: reader.u8(), commit: reader.u48() }
}

export function encodeProgress(progress: Progress): Buffer {
  const body = Buffer.allocUnsafe(10)
  body.writeUIntBE(progress.applied, 0, 6)
  body.writeUInt32BE(progress.generation, 6)
  return body
}

export function decodeProgress(body: Buffer): Progress {
  const reader = new ByteReader(body)
  return { applied: reader.u48(), generation: reader.u32() }
}

export function encodeLogStart(start: LogStart): Buffer {
  const writer = new ByteWriter(16)
  writer.u48(start.index)
  writer.u48(start.term)
  writer.u32(start.chain)
  return writer.copy()
}

export function decodeLogStart(body: Buffer): LogStart {
  const reader = new ByteReader(body)
  return { index: reader.u48(), term: reader.u48(), chain: reader.u32() }
}

export function encodeMembership(membership: Membership): Buffer {
  const writer = new ByteWriter(32)
  writeMembership(writer, membership)
  return writer.copy()
}

export function decodeMembership(body: Buffer): Membership {
  return readMembership(new ByteReader(body))
}

export function encodeInstall(install: Install): Buffer {
  const writer = new ByteWriter(64)
  writer.u48(install.snapshotId)
  writer.u32(install.generation)
  writer.u32(install.chunks)
  writer.u48(install.meta.index)
  writer.u48(install.meta.term)
  writeMembership(writer, install.meta.membership)
  return writer.copy()
}

export function decodeInstall(body: Buffer): Install {
  const reader = new ByteReader(body)
  return {
    snapshotId: reader.u48(),
    generation: reader.u32(),
    chunks: reader.u32(),
    meta: { index: reader.u48(), term: reader.u48(), membership: readMembership(reader) }
  }
}

export function encodeStanding({ incarnation, member, peers }: StandingRecord): Buffer {
  const writer = new ByteWriter(64)
  writer.u48(incarnation)
  writer.u8(member ? 1 : 0)
  writer.u8(peers.length)
  for (const peer of peers) {
    writer.u8(peer.id)
    writer.u48(peer.incarnation)
    writer.u48(peer.term)
    writer.u48(peer.lastTerm)
    writer.u48(peer.lastIndex)
  }
  return writer.copy()
}

export function decodeStanding(body: Buffer): StandingRecord {
  const reader = new ByteReader(body)
  const incarnation = reader.u48()
  const member = reader.u8() === 1
  const peers: PeerRecord[] = []
  for (let count = reader.u8(); count > 0; count--) {
    peers.push({
      id: reader.u8(),
      incarnation: reader.u48(),
      term: reader.u48(),
      lastTerm: reader.u48(),
      lastIndex: reader.u48()
    })
  }
  return { incarnation, member, peers }
}

export function encodeIdentity(identity: Identity): Buffer {
  const writer = new ByteWriter(64)
  writer.u48(identity.incarnation)
  writer.raw(Buffer.from(identity.node, 'utf8'))
  return writer.copy()
}

export function decodeIdentity(body: Buffer): Identity {
  const reader = new ByteReader(body)
  return { incarnation: reader.u48(), node: body.toString('utf8', 6) }
}

const superBodyBytes = 14

export function encodeSuper(floor: number, digest: number, chainBefore: number): Buffer {
  const body = Buffer.allocUnsafe(superBodyBytes)
  body.writeUIntBE(floor, 0, 6)
  body.writeUInt32BE(digest, 6)
  body.writeUInt32BE(chainBefore, 10)
  return body
}

/** @param value the whole sealed value: its checksum is the chain of the next one. */
export function decodeSuper(sequence: number, value: Buffer): SuperRecord {
  return {
    sequence,
    floor: value.readUIntBE(0, 6),
    digest: value.readUInt32BE(6),
    chainBefore: value.readUInt32BE(10),
    chain: value.readUInt32BE(superBodyBytes)
  }
}

export function sameMeta(a: SnapshotMeta, b: SnapshotMeta): boolean {
  return (
    a.index === b.index &&
    a.term === b.term &&
    encodeMembership(a.membership).equals(encodeMembership(b.membership))
  )
}

function writeMembership(writer: ByteWriter, membership: Membership): void {
  for (const ids of [membership.voters, membership.outgoing, membership.learners]) {
    writer.u8(ids.length)
    for (const id of ids) writer.u8(id)
  }
}

function readMembership(reader: ByteReader): Membership {
  const ids = (): number[] => Array.from({ length: reader.u8() }, () => reader.u8())
  return { voters: ids(), outgoing: ids(), learners: ids() }
}
