import { Arbiter } from '../arbiter/arbiter.ts'
import { Prng } from '../base/prng.ts'
import { Logic } from '../logic/logic.ts'
import { defaultLogicLimits } from '../logic/logic-options.ts'
import { arbiterEndpoint, type EndpointId, endpointOf } from '../protocol/endpoint.ts'
import { createReplica } from '../raft/replica.ts'
import type { ReplicaApi } from '../raft/replica-api.ts'
import type { StateMachine } from '../raft/state-machine.ts'
import type { RaftMessage } from '../raft/types.ts'
import { Router } from '../router/router.ts'
import { Transfer } from '../transfer/transfer.ts'
import { defaultTransferLimits, defaultTransferTimes } from '../transfer/transfer-options.ts'
import { WatchedMachine } from './invariants.ts'
import { mutateReplica, mutateStore } from './mutants.ts'
import { clientAddressOf } from './sim-gates.ts'
import { type SimProcess, tickMs } from './sim-process.ts'
import { type NodePlan, type RolePlan, replicasOf, setIds } from './topology.ts'

/** As the defaults of the configuration. */
const raftConfig = {
  electionTicks: 13,
  heartbeatTicks: 3,
  recampaignTicks: 3,
  checkQuorumTicks: 25,
  transferTicks: 25,
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
const version = 'sim'
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

const arbiters = replicasOf('arbiter').map(({ replicaId }) => arbiterEndpoint(replicaId))

/** Makes the production roles of a node and puts them into its process: the twin of the host's `buildRoles`. */
export function buildRoles(process: SimProcess, { id, address, roles }: NodePlan): void {
  const identity = { nodeId: id, address, version, arbiters }
  for (const plan of roles) {
    if (plan.role === 'router') addRouter(process, plan, identity)
    else if (plan.role === 'arbiter') addArbiter(process, plan)
    else if (plan.role === 'transfer') addTransfer(process, plan, identity)
    else {
      const env = process.env(endpointOf(plan))
      const options = { ...defaultLogicLimits, ...identity, id: plan.id, setId: plan.set }
      process.roles.set(env.self, new Logic(env, { ...options, announceMs }))
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
  const env = process.env(endpointOf(plan))
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
  const env = process.env(endpointOf(plan))
  const { keeper } = process
  const role = new Arbiter(env, {
    replicaId,
    peers: replicasOf('arbiter'),
    keeper,
    announceMs,
    downAfterMs,
    bootstrap:
      keeper.view().epoch > 0
        ? undefined
        : {
            slotCount,
            sets: setIds.map(set => {
              return { id: set, zone: 'default', weight: 1, routers: replicasOf(set) }
            })
          },
    replica: (send, machine, onLeadership) =>
      replica(process, 'arbiter', replicaId, env.self, { machine, send, onLeadership })
  })
  process.roles.set(env.self, role)
}

function addTransfer(process: SimProcess, plan: PlanOf<'transfer'>, identity: Identity): void {
  const env = process.env(endpointOf(plan))
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
  const name = `${group}/${replicaId}`
  const voters = replicasOf(group).map(entry => entry.replicaId)
  const machine = new WatchedMachine(ports.machine, (index, entry, effect) =>
    world.invariants.applied(group, name, index, entry, effect)
  )
  const made = createReplica({
    ...ports,
    machine,
    config: { ...raftConfig, id: replicaId },
    tickMs,
    store: mutateStore(process.disk.group(group), world.mutant, process.soon),
    bootstrap: { voters, outgoing: [], learners: [] },
    clock: process,
    random: new Prng(bootId, `raft ${endpoint}`),
    log: process.log,
    metrics: world.metrics,
    trim: { trailingEntries: world.swarm.trailingEntries, trailingBytes },
    wake: () => process.wake(endpoint)
  })
  const api = mutateReplica(made, world.mutant, process.soon)
  process.replicas.push({ group, replicaId, api })
  return api
}
