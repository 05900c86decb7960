import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import { hardLimits, type PayloadOf } from '../protocol/kinds.ts'
import { type Packet, packet } from '../protocol/packet.ts'
import { checkUid } from '../protocol/session.ts'
import type { Admission, RouterParts } from './admission.ts'
import { commandKinds, isCommandError, writeAppend, writeConnection } from './commands.ts'
import type { Leases } from './leases.ts'
import type { RouterLimits } from './limits.ts'
import type { Proposals } from './proposals.ts'
import type { Replies } from './replies.ts'
import { type SequenceDispenser, sequenceCountMax } from './sequence-dispenser.ts'
import type { SessionRoutes } from './session-routes.ts'

interface RequestHandlers {
  readonly parts: RouterParts
  readonly limits: RouterLimits
  readonly admission: Admission
  readonly routes: SessionRoutes
  readonly proposals: Proposals
  readonly replies: Replies
  readonly leases: Leases
  readonly sequences: SequenceDispenser
}

/** Requests that change something: checked here, executed when applied, answered by `settle`. All throw RingsetError for malformed input. */
export class Requests {
  readonly #with: RequestHandlers

  constructor(handlers: RequestHandlers) {
    this.#with = handlers
  }

  onAppend(from: EndpointId, request: Packet<'APPEND'>): void {
    const { routes, limits, proposals, replies } = this.#with
    const { payload } = request
    const route = routes.route(payload.session)
    if (!route.members.includes(payload.uid)) {
      checkUid(payload.uid)
      throw new RingsetError('FORBIDDEN')
    }
    checkDeviceId(payload.deviceId)
    if (payload.body.length > limits.bodyBytes) throw new RingsetError('BODY_TOO_LARGE')
    if (!this.#admitted(from, request, route.slot)) return
    const noRoom = this.#with.admission.room()
    if (noRoom !== undefined) {
      replies.error(from, request, noRoom)
      return
    }
    const writer = proposals.open()
    if (writer === undefined) {
      replies.error(from, request, 'OVERLOADED')
      return
    }
    writeAppend(writer, route.slot, request.slotEpoch, route, payload)
    proposals.request(from, request)
  }

  onConnection(from: EndpointId, request: Packet<'REGISTER'> | Packet<'UNREGISTER'>): void {
    const { parts, proposals, replies } = this.#with
    const { uid, route } = request.payload
    checkUid(uid)
    checkDeviceId(route.deviceId)
    if (!this.#admitted(from, request, parts.env.table().slotOf(uid))) return
    if (request.kind === 'REGISTER' && this.#foreign(route.transferId)) {
      // A late request of a gateway that had the user before its slot came here.
      this.#refuse(from, request, request.slot, 'MOVED')
      return
    }
    const writer = proposals.open()
    if (writer === undefined) {
      replies.error(from, request, 'OVERLOADED')
      return
    }
    const kind = request.kind === 'REGISTER' ? commandKinds.register : commandKinds.unregister
    writeConnection(writer, kind, request.slot, request.slotEpoch, request.payload)
    proposals.request(from, request)
  }

  onSequence(from: EndpointId, request: Packet<'SEQUENCE'>): void {
    const { name, count } = request.payload
    if (name === '' || count < 1 || count > sequenceCountMax) {
      throw new RingsetError('BAD_PACKET', 'a sequence needs a name and a count in range')
    }
    const slot = this.#with.parts.env.table().slotOf(name)
    if (this.#admitted(from, request, slot)) this.#with.sequences.onRequest(from, request)
  }

  /** A request's command was applied, or was refused or lost (`CommandError`). */
  settle(asker: EndpointId, request: Packet, result: unknown): void {
    const { replies } = this.#with
    if (isCommandError(result)) {
      this.#refuse(asker, request, request.slot, result.error)
      return
    }
    switch (request.kind) {
      case 'APPEND':
        replies.ok(asker, request, 'APPEND_OK', result as PayloadOf<'APPEND_OK'>)
        break
      case 'REGISTER':
        this.#registered(request)
        replies.ok(asker, request, 'REGISTER_OK', {})
        break
      case 'UNREGISTER':
        replies.ok(asker, request, 'UNREGISTER_OK', result as PayloadOf<'UNREGISTER_OK'>)
        break
      default:
        throw new RingsetError('INTERNAL', 'a result for a request of another kind')
    }
  }

  #foreign(transferId: string): boolean {
    const { env, setId } = this.#with.parts
    const sets = env.table().table?.sets ?? []
    return sets.some(
      set => set.id !== setId && set.transfers.some(transfer => transfer.id === transferId)
    )
  }

  #registered(request: Packet<'REGISTER'>): void {
    const { route } = request.payload
    this.#with.leases.registered(route.transferId, route.transferBootId)
  }

  /** Refuses what must not be executed here; see the status matrix in docs/routing-table.md. */
  #admitted(from: EndpointId, request: Packet, slot: number): boolean {
    const code = this.#with.admission.refusal(request, slot)
    if (code === undefined) return true
    this.#refuse(from, request, slot, code)
    return false
  }

  #refuse(to: EndpointId, request: Packet, slot: number, code: ErrorCode): void {
    const { parts, admission, replies } = this.#with
    replies.error(to, request, code, admission.hint(code, slot))
    const { env } = parts
    if (code === 'ROUTER_BEHIND' && request.epoch > env.table().epoch) {
      env.send(to, packet('TABLE_PULL', {}))
    }
  }
}

function checkDeviceId(deviceId: string): void {
  if (deviceId === '' || Buffer.byteLength(deviceId, 'utf8') > hardLimits.deviceIdBytes) {
    throw new RingsetError('BAD_PACKET', 'a deviceId is empty or over 64 bytes')
  }
}
