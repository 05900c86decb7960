import { hardLimits } from '../protocol/kinds.ts'

/** Bounds of a `PeerNetwork`; all have defaults. */
export interface PeerLimits {
  /** Largest frame sent or accepted on an open link. */
  readonly frameBytes: number
  /** Unsent bytes per link; over it `send` is false … */
  readonly queueBytes: number
  /** … but for urgent packets, of which so much is held back in addition. */
  readonly urgentQueueBytes: number
  /** Packets and bytes that wait for a link being made. */
  readonly waitingPackets: number
  readonly waitingBytes: number
  /** Packets on their way between endpoints of this process. */
  readonly localPackets: number
  /** Accepted connections, and how many of them may be without handshake. */
  readonly acceptedLinks: number
  readonly handshakes: number
  /** From connect to the end of the handshake. */
  readonly handshakeTimeoutMs: number
  /** An idle link sends LINK_PING this often. */
  readonly pingMs: number
  /** A link on which nothing came for so long is dead. */
  readonly linkTimeoutMs: number
  /** A link whose process has just made another one must show life within this. */
  readonly suspectMs: number
  /** A lost process is reported down after this at the latest, if redialing has not told more by then. */
  readonly lostMs: number
}

export const defaultPeerLimits: PeerLimits = {
  frameBytes: hardLimits.frameBytes,
  queueBytes: 64 * 1024 * 1024,
  urgentQueueBytes: 4 * 1024 * 1024,
  waitingPackets: 1_024,
  waitingBytes: 4 * 1024 * 1024,
  localPackets: 200_000,
  acceptedLinks: 4_096,
  handshakes: 256,
  handshakeTimeoutMs: 2_000,
  pingMs: 500,
  linkTimeoutMs: 1_500,
  suspectMs: 500,
  lostMs: 200
}
