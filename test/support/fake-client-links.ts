import type { ErrorCode } from '../../src/base/error-codes.ts'
import type { KindName } from '../../src/protocol/kinds.ts'
import type { Packet } from '../../src/protocol/packet.ts'
import type { ClientLinks } from '../../src/transfer/client-links.ts'

/** Client connections that only remember what happened to them. */
export class FakeClientLinks implements ClientLinks {
  readonly sent: { connId: number; packet: Packet }[] = []
  readonly closed = new Map<number, ErrorCode | undefined>()
  readonly trusted = new Set<number>()
  /** Pushes to these are dropped, as over the soft bound. */
  readonly stuffed = new Set<number>()

  send(connId: number, packet: Packet): boolean {
    if (this.closed.has(connId)) return false
    if (packet.kind === 'PUSH' && this.stuffed.has(connId)) return false
    this.sent.push({ connId, packet })
    return true
  }

  authenticated(connId: number): void {
    this.trusted.add(connId)
  }

  close(connId: number, code?: ErrorCode): void {
    if (!this.closed.has(connId)) this.closed.set(connId, code)
  }

  /** Takes the packets of one kind sent to a connection so far. */
  take<K extends KindName>(connId: number, kind: K): Packet<K>[] {
    const taken: Packet<K>[] = []
    for (let i = 0; i < this.sent.length; ) {
      const { connId: to, packet } = this.sent[i]!
      if (to === connId && packet.kind === kind) {
        taken.push(packet as Packet<K>)
        this.sent.splice(i, 1)
      } else i++
    }
    return taken
  }
}
