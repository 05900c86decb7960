import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import { type Packet, type PacketHeader, packet } from '../protocol/packet.ts'
import { type Admission, isBehind, type RouterParts } from './admission.ts'
import { type ImportItem, isCommandError, writeImport } from './commands.ts'
import type { Proposals } from './proposals.ts'
import { headerOf, type Replies } from './replies.ts'
import type { ImportResult } from './router-machine.ts'
import type { SessionRoutes } from './session-routes.ts'

type ChannelPacket = Packet<'CHANNEL'>

interface Inlet {
  /** Everything up to here is applied or proposed by this leader. */
  proposed: number
  /** Repeats of batches that are proposed already. */
  waiting: { from: EndpointId; header: PacketHeader }[]
}

/** A batch is at most so many items and bytes, whatever the frame limit allows. */
const batchItemsMax = 2_048
const batchBytesMax = 4 * 1024 * 1024
const inletsMax = 4_096
const waitingMax = 16

/** The receiving ends of the channels from other sets: proposes what follows, and answers with the position that is applied. */
export class ChannelReceiver {
  readonly #parts: RouterParts
  readonly #admission: Admission
  readonly #routes: SessionRoutes
  readonly #proposals: Proposals
  readonly #replies: Replies
  readonly #inlets = new Map<string, Inlet>()

  constructor(
    parts: RouterParts,
    admission: Admission,
    routes: SessionRoutes,
    proposals: Proposals,
    replies: Replies
  ) {
    this.#parts = parts
    this.#admission = admission
    this.#routes = routes
    this.#proposals = proposals
    this.#replies = replies
  }

  onLeadership(): void {
    for (const inlet of this.#inlets.values()) this.#refuseWaiting(inlet, 'NO_LEADER')
    this.#inlets.clear()
  }

  /** Throws RingsetError for a malformed batch. */
  onChannel(from: EndpointId, request: ChannelPacket): void {
    const { env, setId } = this.#parts
    const { sourceSet, targetSet, firstPosition, items } = request.payload
    if (targetSet !== setId || sourceSet === setId) {
      throw new RingsetError('BAD_PACKET', 'a channel to another set')
    }
    if (!from.startsWith(`router/${sourceSet}/`)) throw new RingsetError('FORBIDDEN')
    checkSize(request)
    const code = this.#admission.leadership() ?? this.#admission.room()
    if (code !== undefined) {
      this.#replies.error(from, request, code, this.#admission.hint(code, request.slot))
      return
    }
    // An older table here could miss that a member lives in this set now, and leave the session out of that user's index.
    if (request.epoch > env.table().epoch || isBehind(this.#parts)) {
      this.#replies.error(from, request, 'ROUTER_BEHIND')
      env.send(from, packet('TABLE_PULL', {}))
      return
    }
    if (request.payload.routeEpoch < env.table().epoch && this.#strays(request)) {
      // The sender shall learn first that it has to send these elsewhere.
      this.#replies.error(from, request, 'STALE_SLOT')
      return
    }
    const inlet = this.#inlet(sourceSet)
    if (inlet === undefined) {
      this.#replies.error(from, request, 'OVERLOADED')
      return
    }
    const applied = this.#applied(sourceSet)
    inlet.proposed = Math.max(inlet.proposed, applied)
    const last = firstPosition + items.length - 1
    if (last <= applied || firstPosition > inlet.proposed + 1) {
      this.#replies.ok(from, request, 'CHANNEL_OK', { position: applied })
      return
    }
    if (last <= inlet.proposed) {
      if (inlet.waiting.length < waitingMax) inlet.waiting.push({ from, header: headerOf(request) })
      return
    }
    this.#propose(inlet, from, request)
  }

  /** Whether there are items without a member here. */
  #strays(request: ChannelPacket): boolean {
    return request.payload.items.some(
      ({ session }) => this.#routes.route(session).localMembers === 0
    )
  }

  #propose(inlet: Inlet, from: EndpointId, request: ChannelPacket): void {
    const { sourceSet, firstPosition, items } = request.payload
    const fresh: ImportItem[] = []
    const known = inlet.proposed + 1 - firstPosition
    for (let i = known; i < items.length; i++) {
      const { session, message } = items[i]!
      const { slot, localMembers } = this.#routes.route(session)
      fresh.push({ slot, localMembers, session, message })
    }
    const writer = this.#proposals.open()
    if (writer === undefined) {
      this.#replies.error(from, request, 'OVERLOADED')
      return
    }
    writeImport(writer, sourceSet, inlet.proposed + 1, fresh)
    const last = firstPosition + items.length - 1
    inlet.proposed = last
    this.#proposals.own(result => {
      if (isCommandError(result)) {
        inlet.proposed = this.#applied(sourceSet)
        this.#replies.error(from, request, result.error)
        this.#refuseWaiting(inlet, result.error)
        return
      }
      const { applied } = result as ImportResult
      if (applied < last) inlet.proposed = applied
      this.#replies.ok(from, request, 'CHANNEL_OK', { position: applied })
      this.#answerWaiting(inlet, applied)
    })
  }

  #inlet(sourceSet: string): Inlet | undefined {
    const known = this.#inlets.get(sourceSet)
    if (known !== undefined) return known
    if (this.#inlets.size >= inletsMax) return undefined
    const fresh: Inlet = { proposed: 0, waiting: [] }
    this.#inlets.set(sourceSet, fresh)
    return fresh
  }

  #answerWaiting(inlet: Inlet, position: number): void {
    const { waiting } = inlet
    if (waiting.length === 0) return
    inlet.waiting = []
    for (const { from, header } of waiting) {
      this.#replies.ok(from, header, 'CHANNEL_OK', { position })
    }
  }

  #refuseWaiting(inlet: Inlet, code: ErrorCode): void {
    const { waiting } = inlet
    inlet.waiting = []
    for (const { from, header } of waiting) this.#replies.error(from, header, code)
  }

  #applied(sourceSet: string): number {
    return this.#parts.machine.channels.applied(this.#parts.rows, sourceSet)
  }
}

function checkSize(request: ChannelPacket): void {
  const { firstPosition, items } = request.payload
  if (firstPosition < 1 || items.length === 0 || items.length > batchItemsMax) {
    throw new RingsetError('BAD_PACKET', 'a channel batch of an impossible size')
  }
  let bytes = 0
  for (const { message } of items) bytes += message.body.length
  if (bytes > batchBytesMax) throw new RingsetError('BAD_PACKET', 'a channel batch is too large')
}
