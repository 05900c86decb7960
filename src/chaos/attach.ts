import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { RingsetError } from '../base/errors.ts'
import { createToken } from '../client/client.ts'
import { dataFolder } from '../config/data-folder.ts'
import { readHexFile, readSecrets } from '../config/secrets.ts'
import { ClusterControl } from '../control/cluster-control.ts'
import type { ControlClient } from '../control/control-client.ts'
import { openCluster } from '../launch/launch.ts'
import { tryLock } from '../launch/launch-lock.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import type { Arena, DrillCluster } from './arena.ts'
import { consentText, damaging, disturbing, needProcesses, needThrowAway } from './attach-rules.ts'
import { LogKeeper } from './log-keeper.ts'
import { RemoteCluster } from './remote-cluster.ts'
import type { Scenario } from './scenario.ts'

export interface AttachOptions {
  /** Data folder of a cluster that `up` started on this machine. */
  readonly data: string
  /** Control address of a node instead; the processes are out of reach then. */
  readonly connect?: string | undefined
  /** File with the credential for `connect`; default: the one in the data folder. */
  readonly credential?: string | undefined
  /** The operator knows that users will notice. */
  readonly acceptOutages: boolean
  /** And that data folders of nodes will be damaged, to be healed by their peers. */
  readonly acceptDamage: boolean
}

interface RunningClusterOptions {
  readonly scenario: Scenario
  readonly seconds: number
  readonly attach: AttachOptions
  readonly reportDirectory?: string | undefined
}

const wholeMs = 5_000
const controlMs = 2_000
const tokenSeconds = 86_400
/** Nobody else should be called so. Names are of one use: a conversation is judged from its first message on. */
const uidPrefix = 'ringset-probe-'

/**
 * Lets a drill work on a cluster that runs already. Throws USAGE when consent is missing, DRILL_UNABLE, FAULT_CONTROL_OFF, ALREADY_RUNNING (another
 * drill or a roll is at it), TIMEOUT or NODE_FAILED when it is not whole, and what keeps it from being reached; nothing has been done then.
 */
export async function withRunningCluster<T>(
  options: RunningClusterOptions,
  work: (arena: Arena) => Promise<T>
): Promise<T> {
  const { scenario, attach, reportDirectory } = options
  mustFit(scenario, attach)
  const reached = await reach(attach)
  try {
    const { cluster, processes } = reached
    mustConsent(options, cluster)
    return await alone(processes, async () => {
      await cluster.waitReady({ timeoutMs: wholeMs })
      if (disturbing(scenario).length > 0) await mustLetBeDisturbed(scenario, cluster)
      const logs =
        processes === undefined ? undefined : new LogKeeper(processes.dataDirectory, true)
      try {
        return await work(arenaOf(reached))
      } finally {
        if (reportDirectory !== undefined) logs?.keep(reportDirectory)
      }
    })
  } finally {
    reached.cluster.control.close()
  }
}

interface Reached {
  readonly cluster: DrillCluster
  readonly processes: RunningCluster | undefined
  readonly secret: Buffer | undefined
}

async function reach({ data, connect, credential }: AttachOptions): Promise<Reached> {
  if (connect === undefined) {
    const processes = openCluster(data)
    return { cluster: processes, processes, secret: readSecrets(data).secret }
  }
  const key = readHexFile(credential ?? dataFolder(data).credentialFile)
  const control = await ClusterControl.discover(connect, key, controlMs)
  try {
    return { cluster: await RemoteCluster.find(control), processes: undefined, secret: undefined }
  } catch (error) {
    control.close()
    throw error
  }
}

function arenaOf({ cluster, processes, secret }: Reached): Arena {
  const { control } = cluster
  return {
    cluster,
    processes,
    secret,
    prefix: `${uidPrefix}${randomBytes(5).toString('hex')}-`,
    lasting: true,
    token: uid =>
      secret === undefined
        ? async () => (await control.any(node => node.issueToken(uid, tokenSeconds))).token
        : createToken(secret, uid, Date.now() + tokenSeconds * 1_000),
    giveUp: () => Promise.resolve()
  }
}

/** Refuses what cannot be done to a cluster that goes on, or not from here. */
function mustFit(scenario: Scenario, { connect }: AttachOptions): void {
  const { name } = scenario
  const never = needThrowAway(scenario)
  if (never.length > 0) {
    const text = `${name} is for a throw-away cluster: ${never.join(', ')} would leave another one behind than there was`
    throw new RingsetError('DRILL_UNABLE', text)
  }
  const local = connect === undefined ? [] : needProcesses(scenario)
  if (local.length > 0) {
    const text = `${name} needs the processes for ${local.join(', ')}: run it with --data on the machine that they run on`
    throw new RingsetError('DRILL_UNABLE', text)
  }
}

/** Throws FAULT_CONTROL_OFF; an order to do nothing is refused like any other. */
export async function mustLetBeDisturbed(
  scenario: Scenario,
  cluster: {
    readonly config: { readonly nodes: readonly { readonly id: string }[] }
    node(id: string): Pick<ControlClient, 'setFaults'>
  }
): Promise<void> {
  const nothing = { links: [], leaseMs: 0, disk: undefined, clockOffsetMs: 0 }
  const off: string[] = []
  for (const { id } of cluster.config.nodes) {
    try {
      await cluster.node(id).setFaults(nothing)
    } catch (error) {
      if (!(error instanceof RingsetError) || error.code !== 'FAULT_CONTROL_OFF') throw error
      off.push(id)
    }
  }
  if (off.length === 0) return
  const actions = disturbing(scenario).join(', ')
  const text = `${scenario.name} needs \`cluster.faultControl\` for ${actions}, and it is off at ${off.join(', ')}`
  throw new RingsetError('FAULT_CONTROL_OFF', text)
}

function mustConsent(options: RunningClusterOptions, cluster: DrillCluster): void {
  const { scenario, seconds, attach } = options
  const damages = damaging(scenario)
  const missing = [
    ...(attach.acceptOutages ? [] : ['--accept-outages']),
    ...(attach.acceptDamage || damages.length === 0 ? [] : ['--accept-damaged-data'])
  ]
  if (missing.length === 0) return
  const where = attach.connect ?? dataFolder(attach.data).root
  const name = `cluster ${cluster.config.cluster.name} (${where})`
  const text = `${consentText(scenario, seconds, name)} Nothing has been done; repeat it with ${missing.join(' ')} if that is what you want.`
  throw new RingsetError('USAGE', text)
}

/** Nobody else restarts nodes of the cluster meanwhile. */
async function alone<T>(processes: RunningCluster | undefined, work: () => Promise<T>): Promise<T> {
  if (processes === undefined) return work()
  const { rollLockFile } = dataFolder(processes.dataDirectory)
  // A lock that a dead process left behind is cleared by the first try.
  if (!tryLock(rollLockFile) && !tryLock(rollLockFile)) {
    const text = 'another drill, or `ringset roll`, restarts nodes of this cluster'
    throw new RingsetError('ALREADY_RUNNING', text)
  }
  try {
    return await work()
  } finally {
    rmSync(rollLockFile, { force: true })
  }
}
