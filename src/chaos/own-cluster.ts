import { rmSync } from 'node:fs'
import { RingsetError } from '../base/errors.ts'
import { createToken } from '../client/client.ts'
import type { ClusterConfigInput } from '../config/schema.ts'
import { readSecrets } from '../config/secrets.ts'
import { startCluster } from '../launch/launch.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import type { Arena } from './arena.ts'
import { clusterPlan } from './cluster-plan.ts'
import { drillFolder, sweepFolders } from './dead-drills.ts'
import type { DisturbingHand } from './leased-faults.ts'
import { LogKeeper } from './log-keeper.ts'
import { mustBeShapeable, NetworkHand } from './network-hand.ts'
import { NetworkSpaces, sweepSpaces } from './network-spaces.ts'
import type { Scenario } from './scenario.ts'

interface OwnClusterOptions {
  readonly scenario: Scenario
  readonly reportDirectory?: string | undefined
  /** A network namespace for each node. */
  readonly netns?: boolean | undefined
  readonly signal: AbortSignal
}

const dayMs = 86_400_000
/** Users and clock of a drill come first: one that waits for a processor behind nine nodes measures its own waiting. */
const nodeNiceness = 5

/** Starts a throw-away cluster for a scenario. Whatever happens, all processes are gone and the folder is deleted afterwards. */
export async function withOwnCluster<T>(
  options: OwnClusterOptions,
  work: (arena: Arena) => Promise<T>
): Promise<T> {
  const { scenario, netns = false } = options
  await sweepFolders()
  await sweepSpaces()
  const plan = await clusterPlan(scenario, scenario.workload.tenants)
  if (!netns) return startIn(options, plan, undefined, work)
  mustStayInside(scenario)
  const spaces = await NetworkSpaces.create(plan.nodes.map(({ id }) => id))
  try {
    const actions = scenario.faults.map(fault => fault.do)
    await mustBeShapeable(spaces, actions)
    return await startIn(options, inSpaces(plan, spaces), spaces, work)
  } finally {
    await spaces.destroy()
  }
}

/** New sets get processes beside the others, on loopback. */
function mustStayInside({ name, faults }: Scenario): void {
  const growing = faults.map(fault => fault.do).filter(action => /^(add|remove)Set$/.test(action))
  if (growing.length === 0) return
  const text = `${name} cannot run with --netns: ${growing.join(', ')} would start nodes outside`
  throw new RingsetError('DRILL_UNABLE', text)
}

/** The same nodes, each at the address of its own namespace. */
function inSpaces(plan: ClusterConfigInput, spaces: NetworkSpaces): ClusterConfigInput {
  const { cluster, nodes } = plan
  return {
    ...plan,
    // What happens on the bridge is seen by this machine alone.
    cluster: { ...cluster, allowPlaintext: true },
    nodes: nodes.map(node => ({ ...node, host: spaces.place(node.id).address }))
  }
}

async function startIn<T>(
  { reportDirectory, signal }: OwnClusterOptions,
  plan: ClusterConfigInput,
  spaces: NetworkSpaces | undefined,
  work: (arena: Arena) => Promise<T>
): Promise<T> {
  const directory = drillFolder()
  let cluster: RunningCluster | undefined
  try {
    cluster = await startCluster({
      config: plan,
      dataDirectory: directory,
      signal,
      niceness: nodeNiceness,
      ...(spaces === undefined ? {} : { enter: id => spaces.enter(id) }),
      onStarted: started => {
        cluster = started
      }
    })
    const network = spaces && new NetworkHand(spaces)
    return await work(arenaOf(cluster, directory, network))
  } finally {
    if (cluster !== undefined) {
      // Also those that stand still: SIGKILL needs nobody who listens.
      await cluster.stopAll({ timeoutMs: 0 })
      cluster.close()
      if (reportDirectory !== undefined) new LogKeeper(directory).keep(reportDirectory)
    }
    rmSync(directory, { recursive: true, force: true })
  }
}

function arenaOf(
  cluster: RunningCluster,
  directory: string,
  network: DisturbingHand | undefined
): Arena {
  const { secret } = readSecrets(directory)
  return {
    cluster,
    processes: cluster,
    secret,
    network,
    prefix: '',
    lasting: false,
    token: uid => createToken(secret, uid, Date.now() + dayMs),
    giveUp: async () => {
      await cluster.stopAll({ timeoutMs: 0 })
    }
  }
}
