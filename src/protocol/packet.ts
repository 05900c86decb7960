import type { KindName, PayloadOf } from './kinds.ts'

/** Slot number of a packet that is not for a slot. */
export const noSlot = 0xffff

/**
 * The part every packet has. The last five fields are the stamp: the sender's routing knowledge, see docs/protocol.md.
 */
export interface PacketHeader {
  /** Hops from router to router so far; more than 3 is refused. */
  hop: number
  /** 0 most urgent … 15. */
  priority: number
  /** With `sequence`: the idempotency id, unchanged by retries; an answer repeats its request's. 0 when the packet wants no answer. */
  bootId: number
  sequence: number
  /** Remaining budget of the request in ms, at most 65,535; 0 = none stated. */
  deadlineMs: number
  /** Low 16 bits of the cluster id: a cheap check on each packet, the whole id is compared in the handshake. 0 = not known yet. */
  clusterTag: number
  /** Epoch of the sender's routing table; 0 = it has none. Filled in by the link. */
  epoch: number
  /** Slot this packet is routed by, or `noSlot`. */
  slot: number
  /** Ownership epoch of the slot as the sender knows it. */
  slotEpoch: number
  /** Newest Raft term the sender has seen in the group concerned. */
  term: number
}

/** A packet in memory: what roles exchange, unserialised inside a process. Treat as immutable once sent. */
export type Packet<K extends KindName = KindName> = K extends KindName
  ? PacketHeader & { readonly kind: K; readonly payload: PayloadOf<K> }
  : never

/** `urgent` counts for RAFT only, see `isUrgent`. */
export const priorities = { urgent: 0, normal: 8 } as const

const plain: Partial<PacketHeader> = {}

/** A packet with the given header fields, the rest plain. */
export function packet<K extends KindName>(
  kind: K,
  payload: PayloadOf<K>,
  header: Partial<PacketHeader> = plain
): Packet<K> {
  // Written out: one shape for every packet, and several times faster than spreading two objects.
  return {
    hop: header.hop ?? 0,
    priority: header.priority ?? priorities.normal,
    bootId: header.bootId ?? 0,
    sequence: header.sequence ?? 0,
    deadlineMs: header.deadlineMs ?? 0,
    clusterTag: header.clusterTag ?? 0,
    epoch: header.epoch ?? 0,
    slot: header.slot ?? noSlot,
    slotEpoch: header.slotEpoch ?? 0,
    term: header.term ?? 0,
    kind,
    payload
  } as unknown as Packet<K>
}

/** The answer to `request`: same idempotency id, same slot. */
export function answer<K extends KindName>(
  request: PacketHeader,
  kind: K,
  payload: PayloadOf<K>,
  term = 0
): Packet<K> {
  return packet(kind, payload, {
    priority: request.priority,
    bootId: request.bootId,
    sequence: request.sequence,
    slot: request.slot,
    slotEpoch: request.slotEpoch,
    term
  })
}

/**
 * What elections, leases and health rest on, and what finds endpoints: where a connection does not take everything at once, it goes
 * before all else. Of RAFT the sender says so by priority 0. No guest and no client may send any of these.
 */
export function isUrgent({ kind, priority }: Packet): boolean {
  switch (kind) {
    case 'RAFT':
      return priority === priorities.urgent
    case 'RENEW':
    case 'RENEW_OK':
    case 'ANNOUNCE':
    case 'ANNOUNCE_OK':
    case 'OBSERVE':
    case 'OBSERVE_OK':
    case 'PROBE':
    case 'PROBE_OK':
    case 'WELCOME':
      return true
    default:
      return false
  }
}
