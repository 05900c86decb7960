import { Arbiter } from '../arbiter/arbiter.ts'
import { Prng } from '../base/prng.ts'
import { Logic } from '../logic/logic.ts'
import { defaultLogicLimits } from '../logic/logic-options.ts'
import {
  arbiterEndpoint,
  type EndpointId,
  endpointOf,
  observerEndpoint
} from '../protocol/endpoint.ts'
import { Observer } from '../protocol/observer.ts'
import type { RoleEnv } from '../protocol/role.ts'
import type { RaftConfig } from '../raft/raft-api.ts'
import { createReplica } from '../raft/replica.ts'
import type { ReplicaApi } from '../raft/replica-api.ts'
import type { StateMachine } from '../raft/state-machine.ts'
import type { RaftMessage } from '../raft/types.ts'
import { Router } from '../router/router.ts'
import { Transfer } from '../transfer/transfer.ts'
import { defaultTransferLimits, defaultTransferTimes } from '../transfer/transfer-options.ts'
import { WatchedMachine } from './invariants.ts'
import { LaterVersion } from './later-version.ts'
import { withCore } from './mutants/core-of.ts'
import type { Site } from './mutants/mutant.ts'
import { clientAddressOf } from './sim-gates.ts'
import type { SimProcess } from './sim-process.ts'
import { exponential } from './swarm.ts'
import { arbiterGroup, type NodePlan, type RolePlan } from './topology.ts'

/** As the defaults of the configuration, by whatever tick. */
const raftTimesMs = {
  electionTicks: 250,
  heartbeatTicks: 50,
  recampaignTicks: 50,
  checkQuorumTicks: 350,
  transferTicks: 500
}
const raftBounds = {
  maxInflightMessages: 256,
  maxInflightBytes: 8 * 1024 * 1024,
  maxMessageBytes: 512 * 1024,
  maxUncommittedBytes: 64 * 1024 * 1024,
  preVote: true,
  checkQuorum: true
} as const
const announceMs = 500
const downAfterMs = 3_000
const slotCount = 64
const trailingBytes = 64 * 1024 * 1024
/** Of users of whom some exist in every world. */
export const simTenant = { id: 'tenant', prefix: 'u1', slots: 6 }
/** What every process says it is. */
export const simVersion = 'sim'
const tinyLimits = {
  entryCommands: 2,
  pendingCommands: 40,
  pendingReads: 4,
  pageBytes: 100,
  pageMessages: 3,
  channelItems: 2,
  channelWindow: 1
}
const tinyCaches = { sessions: 2, dedup: 1, presence: 1, users: 1 }

function raftConfig(tickMs: number): Omit<RaftConfig, 'id'> {
  const ticks = (timeMs: number): number => Math.ceil(timeMs / tickMs)
  return {
    ...raftBounds,
    electionTicks: ticks(raftTimesMs.electionTicks),
    heartbeatTicks: ticks(raftTimesMs.heartbeatTicks),
    recampaignTicks: ticks(raftTimesMs.recampaignTicks),
    checkQuorumTicks: ticks(raftTimesMs.checkQuorumTicks),
    transferTicks: ticks(raftTimesMs.transferTicks)
  }
}

/** Makes the production roles of a node and puts them into its process: the twin of the host's `buildRoles`. */
export function buildRoles(process: SimProcess, { id, address, roles }: NodePlan): void {
  const { topology } = process.world
  const arbiters = topology
    .replicasOf(arbiterGroup)
    .map(({ replicaId }) => arbiterEndpoint(replicaId))
  const identity = { nodeId: id, address, version: simVersion, arbiters }
  for (const plan of roles) {
    if (plan.role === 'router') addRouter(process, plan, identity)
    else if (plan.role === 'arbiter') addArbiter(process, plan)
    else if (plan.role === 'transfer') addTransfer(process, plan, identity)
    else {
      const env = envOf(process, plan)
      const options = { ...defaultLogicLimits, ...identity, id: plan.id, setId: plan.set }
      process.roles.set(env.self, new Logic(env, { ...options, announceMs }))
    }
  }
  const observer = observerEndpoint(id)
  process.roles.set(observer, new Observer(process.env(observer)))
}

/** What a role gets, with somebody looking over its shoulder. */
function envOf(process: SimProcess, plan: RolePlan): RoleEnv {
  const env = process.env(endpointOf(plan))
  const { trafficWatch, tampering, seed } = process.world
  const strange =
    process.later &&
    new LaterVersion(process, new Prng(seed, `strange ${env.self} ${process.life}`))
  return {
    ...env,
    send: (to, asked) => {
      const route = { process, from: env.self, to }
      const sent = tampering.packet === undefined ? asked : tampering.packet(asked, route)
      if (sent === undefined) return true
      trafficWatch.sent(env.self, to, sent)
      if (strange !== false) strange.sent(env.self, to, sent)
      return env.send(to, sent)
    }
  }
}

interface Identity {
  readonly nodeId: string
  readonly address: string
  readonly version: string
  readonly arbiters: readonly EndpointId[]
}

type PlanOf<R extends RolePlan['role']> = Extract<RolePlan, { readonly role: R }>

function addRouter(process: SimProcess, plan: PlanOf<'router'>, identity: Identity): void {
  const { set, replica: replicaId } = plan
  const env = envOf(process, plan)
  const role = new Router(env, {
    identity,
    arbiters: identity.arbiters,
    setId: set,
    replicaId,
    announceMs,
    transferLeaseMs: process.world.swarm.transferLeaseMs,
    ...(process.world.swarm.tiny && { limits: tinyLimits, cacheSizes: tinyCaches }),
    replica: (machine, send, onLeadership) =>
      replica(process, set, replicaId, env.self, { machine, send, onLeadership })
  })
  process.roles.set(env.self, role)
}

function addArbiter(process: SimProcess, plan: PlanOf<'arbiter'>): void {
  const { replica: replicaId } = plan
  const env = envOf(process, plan)
  const { keeper } = process
  const { topology } = process.world
  const role = new Arbiter(env, {
    replicaId,
    peers: topology.replicasOf(arbiterGroup),
    keeper,
    announceMs,
    downAfterMs,
    bootstrap:
      keeper.view().epoch > 0
        ? undefined
        : {
            slotCount,
            tenants: process.world.swarm.tenants ? [simTenant] : [],
            sets: topology.firstSets.map(set => {
              return { id: set, zone: 'default', weight: 1, routers: topology.foundersOf(set) }
            })
          },
    replica: (send, machine, onLeadership) =>
      replica(process, 'arbiter', replicaId, env.self, { machine, send, onLeadership })
  })
  process.roles.set(env.self, role)
}

function addTransfer(process: SimProcess, plan: PlanOf<'transfer'>, identity: Identity): void {
  const env = envOf(process, plan)
  const { swarm, gates } = process.world
  const gate = gates.open(process, plan.id)
  const role = new Transfer(env, gate, uid => ({ uid }), {
    ...identity,
    id: plan.id,
    setId: plan.set,
    clientAddresses: [clientAddressOf(plan.id)],
    limits: defaultTransferLimits,
    times: {
      ...defaultTransferTimes,
      heartbeatMinMs: 1_000,
      heartbeatMaxMs: swarm.heartbeatMaxMs,
      announceMs
    }
  })
  process.world.tampering.transfer?.(role, process, (connId, sent) => gate.send(connId, sent))
  process.roles.set(env.self, role)
}

function replica(
  process: SimProcess,
  group: string,
  replicaId: number,
  endpoint: EndpointId,
  ports: {
    readonly machine: StateMachine
    send(message: RaftMessage): void
    onLeadership(leading: boolean): void
  }
): ReplicaApi {
  const { world, bootId } = process
  const { tampering, replicaWatch } = world
  const site = { process, group, replicaId }
  const store = process.disk.group(group)
  const machine = tampering.machine?.(ports.machine, site) ?? ports.machine
  world.trafficWatch.machine(ports.machine, site, () => api)
  replicaWatch.store(store, site, () => api)
  const voters = world.topology.foundersOf(group).map(founder => founder.replicaId)
  const learners = voters.includes(replicaId) ? [] : [replicaId]
  const make = (): ReplicaApi =>
    createReplica({
      ...ports,
      send: repeatsOf(site, ports.send),
      machine: new WatchedMachine(machine, (index, entry, effect) =>
        replicaWatch.applied(api, site, index, entry, effect)
      ),
      config: { ...raftConfig(world.swarm.tickMs), id: replicaId, preVote: !process.later },
      tickMs: world.swarm.tickMs,
      store: tampering.store?.(store, site) ?? store,
      bootstrap: { voters, outgoing: [], learners },
      clock: process,
      random: new Prng(bootId, `raft ${endpoint}`),
      log: process.log,
      metrics: world.metrics,
      trim: { trailingEntries: world.swarm.trailingEntries, trailingBytes },
      snapshotChunkBytes: world.swarm.snapshotChunkBytes,
      wake: () => process.wake(endpoint)
    })
  const made = tampering.core === undefined ? make() : tampered(make, site)
  replicaWatch.replica(made, site)
  const api = tampering.replica?.(made, site) ?? made
  process.replicas.push({ endpoint, group, replicaId, api })
  return api
}

function tampered(make: () => ReplicaApi, site: Site): ReplicaApi {
  const { made, core } = withCore(make)
  site.process.world.tampering.core!(core, site)
  return made
}

/** Messages of a group, some of them once more when it is too late. */
function repeatsOf(site: Site, send: (message: RaftMessage) => void): typeof send {
  const { process, group, replicaId } = site
  const { swarm, marks, replicaWatch } = process.world
  const random = new Prng(process.bootId, `repeats ${group}/${replicaId}`)
  return message => {
    replicaWatch.sent(message, site)
    send(message)
    if (swarm.repeats === 0 || random.float() >= swarm.repeats) return
    process.after(exponential(random, 200), () => {
      marks.hit('message repeated late')
      send(message)
    })
  }
}
