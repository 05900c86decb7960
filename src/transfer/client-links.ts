import type { ErrorCode } from '../base/error-codes.ts'
import type { Packet } from '../protocol/packet.ts'
import type { Role } from '../protocol/role.ts'

/** The client connections of a transfer, as the driver offers them. */
export interface ClientLinks {
  /** False when the packet was dropped: the connection is gone or its backlog is over the soft bound. Over the hard bound the driver closes it. */
  send(connId: number, packet: Packet): boolean
  /** Before this call the driver accepts only small frames and few bytes. */
  authenticated(connId: number): void
  /** Sends ERROR with the code when one is given, flushes what is queued within a bounded time, and closes. `onClientClosed` follows. */
  close(connId: number, code?: ErrorCode, text?: string): void
}

/** What the driver tells a transfer about its client connections. connIds grow and are never re-used within a process. */
export interface ClientEvents {
  onClientOpen(connId: number, remote: string): void
  onClientPacket(connId: number, packet: Packet): void
  onClientClosed(connId: number): void
}

export type TransferRole = Role & ClientEvents
