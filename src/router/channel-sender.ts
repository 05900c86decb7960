import { type ErrorCode, errorCodeOf } from '../base/error-codes.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { PayloadOf } from '../protocol/kinds.ts'
import { type Packet, packet } from '../protocol/packet.ts'
import { isBehind, type RouterParts } from './admission.ts'
import {
  commandError,
  isCommandError,
  type Redirection,
  writeChannelAcked,
  writeRedirect
} from './commands.ts'
import type { RouterLimits } from './limits.ts'
import { OutgoingChannel } from './outgoing-channel.ts'
import type { Proposals } from './proposals.ts'
import type { SessionRoutes } from './session-routes.ts'

/** A batch without an answer for so long is given up and sent again, to another replica. */
const answerMs = 1_000
/** The outbox is trimmed after so many acknowledged items, or after this time. */
const trimItems = 4_096
const trimMs = 1_000

/** Refusals of a replica that leads nevertheless. */
const leadsStill = new Set<ErrorCode>([
  'OVERLOADED',
  'DISK_NEARLY_FULL',
  'ROUTER_BEHIND',
  'STALE_SLOT',
  'PROPOSAL_DROPPED'
])

type Batch = Pick<PayloadOf<'CHANNEL'>, 'firstPosition' | 'items'>

interface Outlet {
  readonly channel: OutgoingChannel
  trimmedAtMs: number
  trimming: boolean
}

/** The leader's sending ends of the channels to all other sets. */
export class ChannelSender {
  readonly #parts: RouterParts
  readonly #routes: SessionRoutes
  readonly #limits: RouterLimits
  readonly #proposals: Proposals
  readonly #nextSequence: () => number
  readonly #outlets = new Map<string, Outlet>()
  /** Which channel a batch in flight belongs to. */
  readonly #flights = new Map<number, string>()

  constructor(
    parts: RouterParts,
    routes: SessionRoutes,
    limits: RouterLimits,
    proposals: Proposals,
    nextSequence: () => number
  ) {
    this.#parts = parts
    this.#routes = routes
    this.#limits = limits
    this.#proposals = proposals
    this.#nextSequence = nextSequence
  }

  onLeadership(leading: boolean): void {
    this.#outlets.clear()
    this.#flights.clear()
    if (!leading) return
    const { machine, rows } = this.#parts
    for (const targetSet of machine.channels.targetSets(rows)) this.#outlet(targetSet)
  }

  queued(targetSet: string, position: number, session: string, message: Buffer): void {
    this.#outlet(targetSet).channel.queued(position, session, message)
  }

  /** True when `answer` belongs to a batch of this sender. */
  onAnswer(from: EndpointId, answer: Packet<'CHANNEL_OK'> | Packet<'ERROR'>): boolean {
    const targetSet = this.#flights.get(answer.sequence)
    if (targetSet === undefined) return false
    if (!from.startsWith(`router/${targetSet}/`)) return true
    this.#flights.delete(answer.sequence)
    const outlet = this.#outlets.get(targetSet)
    if (outlet === undefined) return true
    if (answer.kind === 'CHANNEL_OK') this.#onAcked(outlet, from, answer)
    else this.#onError(outlet, from, answer.payload)
    return true
  }

  /** The process behind `peer` is unreachable: batches sent there need not wait for their timeout. */
  onPeerDown(peer: EndpointId): void {
    for (const { channel } of this.#outlets.values()) {
      if (channel.flights.some(({ to }) => to === peer)) this.#fail(channel, peer)
    }
  }

  flush(): void {
    if (isBehind(this.#parts)) return
    for (const { channel } of this.#outlets.values()) this.#pump(channel)
  }

  tick(): void {
    const nowMs = this.#parts.env.nowMs()
    for (const outlet of this.#outlets.values()) {
      const oldest = outlet.channel.flights[0]
      if (oldest !== undefined && nowMs - oldest.sentAtMs > answerMs) {
        this.#fail(outlet.channel, oldest.to)
      }
      this.#trim(outlet, nowMs)
    }
  }

  /** Items that wait for their acknowledgement, per target set. */
  depths(): { targetSet: string; items: number }[] {
    const { machine, rows } = this.#parts
    return machine.channels.targetSets(rows).map(targetSet => {
      const outbox = machine.channels.outbox(rows, targetSet)
      const acked = this.#outlets.get(targetSet)?.channel.acked ?? 0
      return { targetSet, items: outbox.last - Math.max(acked, outbox.acked) }
    })
  }

  #outlet(targetSet: string): Outlet {
    let outlet = this.#outlets.get(targetSet)
    if (outlet === undefined) {
      const channel = new OutgoingChannel(this.#parts, this.#limits, targetSet)
      outlet = { channel, trimmedAtMs: this.#parts.env.nowMs(), trimming: false }
      this.#outlets.set(targetSet, outlet)
    }
    return outlet
  }

  #pump(channel: OutgoingChannel): void {
    const { env, hints, setId: sourceSet } = this.#parts
    const { targetSet } = channel
    const routeEpoch = env.table().epoch
    for (;;) {
      const nowMs = env.nowMs()
      const batch = channel.nextBatch(nowMs)
      if (batch === undefined || this.#redirect(channel, batch)) return
      if (this.#targetGone(channel)) {
        this.#settle(channel, batch, nowMs)
        continue
      }
      const sequence = this.#nextSequence()
      const header = { bootId: env.bootId, sequence, deadlineMs: answerMs }
      const to = hints.endpoint(env.table(), targetSet)
      const sent =
        to !== undefined &&
        env.send(to, packet('CHANNEL', { sourceSet, targetSet, routeEpoch, ...batch }, header))
      if (!sent) {
        this.#fail(channel, to)
        return
      }
      channel.launched(sequence, to, batch.items.length, nowMs)
      this.#flights.set(sequence, targetSet)
    }
  }

  /** The cluster has no such set any more, nor will it have one: its name is not used again. */
  #targetGone({ targetSet }: OutgoingChannel): boolean {
    const { table } = this.#parts.env.table()
    return table !== undefined && !table.sets.some(({ id }) => id === targetSet)
  }

  /** What is left for a set that is gone has been sent after its members: nobody else can acknowledge it. */
  #settle(channel: OutgoingChannel, { firstPosition, items }: Batch, nowMs: number): void {
    if (channel.flights.length > 0) {
      channel.rewind(nowMs)
      this.#dropStale(channel)
      return
    }
    channel.answered(0, firstPosition + items.length - 1, nowMs)
  }

  /**
   * Messages whose members have left the target set since they were queued go to where those live now. Only then may the target, which
   * has no use for them, acknowledge them. True: the batch has to wait.
   */
  #redirect(channel: OutgoingChannel, { firstPosition, items }: Batch): boolean {
    if (channel.redirecting) return true
    const { env } = this.#parts
    const strays: { position: number; redirection: Redirection }[] = []
    for (const [i, { session, message }] of items.entries()) {
      const position = firstPosition + i
      if (channel.redirected.has(position)) continue
      const route = this.#routes.route(session)
      const { slot, localMembers } = route
      const targetSets = route.targetSets.filter(setId => setId !== channel.targetSet)
      const wanted = targetSets.length < route.targetSets.length
      // Where the session lives now, the member for whose copy it was queued may be gone nevertheless.
      const home = env.table().owner(slot)?.setId === channel.targetSet
      if (wanted && !(home && (targetSets.length > 0 || localMembers !== 0))) continue
      const redirection = { slot, session, msgid: message.msgid, localMembers, targetSets }
      strays.push({ position, redirection })
    }
    let open = strays.length
    channel.redirecting = open > 0
    for (const { position, redirection } of strays) {
      const writer = this.#proposals.open()
      const settled = (result: unknown): void => {
        const done = !isCommandError(result) && (result as { done: boolean }).done
        if (done) channel.redirected.add(position)
        channel.redirecting = --open > 0
      }
      if (writer === undefined) {
        settled(commandError('OVERLOADED'))
        continue
      }
      writeRedirect(writer, redirection)
      this.#proposals.own(settled)
    }
    return strays.length > 0
  }

  #onAcked(outlet: Outlet, from: EndpointId, answer: Packet<'CHANNEL_OK'>): void {
    const { env, machine, rows, hints } = this.#parts
    const { channel } = outlet
    const { position } = answer.payload
    const replicaId = Number(from.slice(from.lastIndexOf('/') + 1))
    hints.note(env.table(), { setId: channel.targetSet, replicaId, term: answer.term })
    if (position > machine.channels.outbox(rows, channel.targetSet).last) {
      env.log.error('channel_acknowledged_beyond_its_end', {
        targetSet: channel.targetSet,
        position
      })
      this.#fail(channel, from)
      return
    }
    channel.answered(answer.sequence, position, env.nowMs())
    this.#dropStale(channel)
  }

  #onError(outlet: Outlet, from: EndpointId, error: PayloadOf<'ERROR'>): void {
    const { env, hints } = this.#parts
    const { channel } = outlet
    const code: ErrorCode = errorCodeOf(error.code)
    const { hint } = error
    if (code === 'NOT_LEADER' && hint !== undefined && hint.setId === channel.targetSet) {
      const before = hints.endpoint(env.table(), channel.targetSet)
      hints.note(env.table(), hint)
      if (hints.endpoint(env.table(), channel.targetSet) !== before) {
        channel.rewind(env.nowMs())
        this.#dropStale(channel)
        return
      }
    }
    env.log.debug('channel_refused', { targetSet: channel.targetSet, from, code })
    this.#fail(channel, leadsStill.has(code) ? undefined : from)
  }

  /** @param to where it failed, if another replica is to be tried. */
  #fail(channel: OutgoingChannel, to: EndpointId | undefined): void {
    if (to !== undefined) this.#parts.hints.failed(this.#parts.env.table(), to)
    channel.failed(this.#parts.env.nowMs())
    this.#dropStale(channel)
  }

  /** Forgets batches that the channel no longer counts as in flight. */
  #dropStale(channel: OutgoingChannel): void {
    for (const [sequence, targetSet] of this.#flights) {
      if (targetSet !== channel.targetSet) continue
      if (!channel.flights.some(one => one.sequence === sequence)) this.#flights.delete(sequence)
    }
  }

  #trim(outlet: Outlet, nowMs: number): void {
    const { machine, rows } = this.#parts
    const { channel } = outlet
    const { acked } = machine.channels.outbox(rows, channel.targetSet)
    const items = channel.acked - acked
    if (outlet.trimming || items === 0) return
    if (items < trimItems && nowMs - outlet.trimmedAtMs < trimMs) return
    const writer = this.#proposals.open()
    if (writer === undefined) return
    outlet.trimming = true
    outlet.trimmedAtMs = nowMs
    writeChannelAcked(writer, channel.targetSet, channel.acked)
    this.#proposals.own(() => {
      outlet.trimming = false
    })
  }
}
