import { errorCodes } from '../base/error-codes.ts'
import { type EndpointId, routerEndpoint } from '../protocol/endpoint.ts'
import type { Route } from '../protocol/kinds.ts'
import { noSlot, type Packet } from '../protocol/packet.ts'
import type { ReplicaApi } from '../raft/replica-api.ts'
import type { StateMachine } from '../raft/state-machine.ts'
import { sameConnection } from '../router/presence.ts'
import { RouterMachine } from '../router/router-machine.ts'
import { Transfer } from '../transfer/transfer.ts'
import { SimFailure } from './invariants.ts'
import type { Site } from './mutants/mutant.ts'
import type { SimProcess } from './sim-process.ts'
import type { World } from './world.ts'

const dropped = errorCodes.PROPOSAL_DROPPED.number
const behind = errorCodes.ROUTER_BEHIND.number
const stale = errorCodes.STALE_SLOT.number

/** The oldest unacknowledged position of a channel, and who led at both ends when it was sent first. */
interface ChannelFacts {
  sent: number
  acked: number
  position: number
  source: EndpointId
  target: EndpointId
}

/** Looks at what the roles send to each other, and at what routers make of it, for what rarely happens. */
export class TrafficWatch {
  readonly #world: World
  readonly #channels = new Map<string, ChannelFacts>()
  readonly #sequences = new Map<string, number>()
  /** Message id of a device → term in which it was used first. */
  readonly #used = new Map<string, number>()
  readonly #machines = new Map<string, RouterMachine>()
  /** Of each router: the epoch since which it has a slot. */
  readonly #ownership = new Map<EndpointId, (slot: number) => number>()

  constructor(world: World) {
    this.#world = world
  }

  /** What the leader of a set holds of a user's presence; undefined while nobody leads. */
  routesOf(setId: string, slot: number, uid: string): readonly Route[] | undefined {
    for (const { replicas } of this.#world.nodes) {
      for (const { group, replicaId, api } of replicas) {
        if (group !== setId || !api.leading()) continue
        const { presence } = this.#machines.get(`${group}/${replicaId}`)!
        return presence.routes({ get: key => api.getRow(key) }, slot, uid)
      }
    }
    return undefined
  }

  sent(from: EndpointId, to: EndpointId, sent: Packet): void {
    const { marks } = this.#world
    switch (sent.kind) {
      case 'ERROR':
        if (sent.payload.code === dropped) marks.hit('proposal dropped by a leader change')
        else if (sent.payload.code === behind) marks.hit('router behind its asker')
        else if (sent.payload.code === stale) this.#judgeStale(from, sent)
        break
      case 'CHANNEL':
        this.#channel(from, to, sent.payload)
        break
      case 'CHANNEL_OK':
        this.#channelAcked(from, to, sent.payload.position)
        break
      case 'CATCH_UP':
        if (!sent.payload.full) marks.hit('device asked for a gap')
        break
      case 'READ_PAGE':
        marks.hit('push repeated')
        break
      case 'DELIVER':
        this.#delivery(to, sent.payload.transferBootId)
        break
      default:
    }
  }

  /** E-4: only a change of this very slot may make its askers wrong. */
  #judgeStale(from: EndpointId, { slot, slotEpoch }: Packet): void {
    const own = this.#ownership.get(from)?.(slot)
    // What is for no slot may be refused for a table that is too old.
    if (own === undefined || slot === noSlot || slotEpoch < own) return
    const text = `${from} calls slot ${slot} of epoch ${slotEpoch} stale, and has it since ${own}`
    throw new SimFailure('refusals', text)
  }

  /** A process has taken over a newer routing table. @param from who sent it. */
  adopted(from: SimProcess): void {
    const client = from.endpoints.some(endpoint => endpoint.startsWith('client/'))
    if (client) this.#world.marks.hit('table adopted from a client')
  }

  #delivery(to: EndpointId, transferBootId: number): void {
    const transfer = this.#world.network.homeOf(to)?.roles.get(to)
    if (transfer instanceof Transfer && transfer.transferBootId !== transferBootId) {
      this.#world.marks.hit('delivery for an earlier life of a transfer')
    }
  }

  #channel(
    source: EndpointId,
    target: EndpointId,
    batch: {
      sourceSet: string
      targetSet: string
      firstPosition: number
      items: readonly unknown[]
    }
  ): void {
    const { marks } = this.#world
    const key = `${batch.sourceSet} ${batch.targetSet}`
    const last = batch.firstPosition + batch.items.length - 1
    const known = this.#channels.get(key)
    if (known === undefined) {
      const position = batch.firstPosition
      this.#channels.set(key, { sent: last, acked: 0, position, source, target })
      return
    }
    if (batch.firstPosition <= known.sent) marks.hit('channel batch sent again')
    known.sent = Math.max(known.sent, last)
    if (known.position > known.acked) return
    known.position = batch.firstPosition
    known.source = source
    known.target = target
  }

  #channelAcked(target: EndpointId, source: EndpointId, position: number): void {
    const setOf = (endpoint: EndpointId): string => endpoint.split('/')[1]!
    const known = this.#channels.get(`${setOf(source)} ${setOf(target)}`)
    if (known === undefined || position <= known.acked) return
    known.acked = position
    if (position >= known.position && known.source !== source && known.target !== target) {
      this.#world.marks.hit('channel resumed after both leaders changed')
    }
  }

  /** @param api of the replica that the machine belongs to, once it is there. */
  machine(machine: StateMachine, site: Site, api: () => ReplicaApi): void {
    if (!(machine instanceof RouterMachine)) return
    const { group, replicaId } = site
    this.#world.slotWatch.machine(machine, site)
    this.#machines.set(`${group}/${replicaId}`, machine)
    this.#ownership.set(routerEndpoint(group, replicaId), slot =>
      machine.ownership.slotEpoch({ get: key => api().getRow(key) }, slot)
    )
    this.#dedup(machine, api)
    this.#presence(machine)
    this.#dispensed(machine, api)
  }

  #dedup({ dedup }: RouterMachine, api: () => ReplicaApi): void {
    const add = dedup.add.bind(dedup)
    const find = dedup.find.bind(dedup)
    dedup.add = (row, clientMsgId, msgid) => {
      const id = `${row.key} ${clientMsgId}`
      if (!this.#used.has(id)) this.#used.set(id, api().term())
      add(row, clientMsgId, msgid)
    }
    dedup.find = (row, clientMsgId) => {
      const msgid = find(row, clientMsgId)
      const firstTerm = msgid > 0 ? this.#used.get(`${row.key} ${clientMsgId}`) : undefined
      if (firstTerm !== undefined && api().leading() && api().term() > firstTerm) {
        this.#world.marks.hit('duplicate answered after a leader change')
      }
      return msgid
    }
  }

  #presence({ presence, transfers }: RouterMachine): void {
    const { marks } = this.#world
    const register = presence.register.bind(presence)
    const unregister = presence.unregister.bind(presence)
    const instances = new Map<string, { id: string; bootId: number }>()
    presence.register = (rows, slot, uid, route) => {
      const newer = presence
        .routes(rows, slot, uid)
        .find(one => one.deviceId === route.deviceId && one.connSeq > route.connSeq)
      const registration = register(rows, slot, uid, route)
      if (newer !== undefined && !('error' in registration)) {
        throw new SimFailure(
          'presence',
          `${uid}/${route.deviceId}: ${shown(route)} took the place of ${shown(newer)}`
        )
      }
      if ('error' in registration) {
        if (registration.error === 'KICKED') marks.hit('late register fenced')
        return registration
      }
      const device = `${uid}\n${route.deviceId}`
      const before = instances.get(device)
      if (before !== undefined && transfers.dead(rows, before.id, before.bootId)) {
        marks.hit('presence healed after transfer loss')
      }
      instances.set(device, { id: route.transferId, bootId: route.transferBootId })
      return registration
    }
    presence.unregister = (rows, slot, uid, route) => {
      const other = presence
        .routes(rows, slot, uid)
        .find(one => one.deviceId === route.deviceId && !sameConnection(one, route))
      const removed = unregister(rows, slot, uid, route)
      if (other === undefined) return removed
      if (!presence.routes(rows, slot, uid).some(one => sameConnection(one, other))) {
        throw new SimFailure(
          'presence',
          `${uid}/${route.deviceId}: the end of ${shown(route)} took ${shown(other)} away`
        )
      }
      marks.hit('late unregister fenced')
      return removed
    }
  }

  #dispensed({ sequences }: RouterMachine, api: () => ReplicaApi): void {
    const raise = sequences.raise.bind(sequences)
    let raisedTerm = 0
    sequences.raise = (rows, slot, name, step, era) => {
      const term = api().term()
      const before = this.#sequences.get(name)
      if (before !== undefined && before !== term && raisedTerm !== term) {
        this.#world.marks.hit('sequence range given up')
      }
      raisedTerm = term
      this.#sequences.set(name, term)
      return raise(rows, slot, name, step, era)
    }
  }
}

const shown = ({ transferId, connId, connSeq }: Route): string =>
  `${transferId}:${connId} (connSeq ${connSeq})`
