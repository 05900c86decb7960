import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { RingsetError } from '../../src/base/errors.ts'
import { hostPort } from '../../src/base/host-port.ts'
import { checkConfigText, readConfig } from '../../src/config/config.ts'
import { dataFolder, defaultDataDirectory } from '../../src/config/data-folder.ts'
import type { ClusterStatus } from '../../src/control/cluster-status.ts'
import { startCluster } from '../../src/launch/launch.ts'
import type { RunningCluster } from '../../src/launch/running-cluster.ts'
import { clusterEvents } from '../cluster-events.ts'
import { exitCodes } from '../failure.ts'
import { LiveView } from '../live-view.ts'
import { type DataOptions, type JsonOptions, withData, withExample, withJson } from '../options.ts'
import { defaultConfigPath } from '../package-root.ts'
import { type Picture, pictureOf } from '../rates.ts'
import { StartProgress } from '../start-progress.ts'
import { statusLines } from '../status-lines.ts'
import { StopSignals } from '../stop-signals.ts'
import { stopText } from '../stop-text.ts'
import { durationText, note, paint, print, printJson } from '../terminal.ts'
import { noteWarnings } from '../warnings.ts'

interface UpOptions extends DataOptions, JsonOptions {
  readonly config?: string
  readonly detach?: true
}

const refreshMs = 1000

export function configureUp(command: Command): void {
  command
    .option(
      '-c, --config <file>',
      'configuration (default: the one the data folder was last started with, else two sets of three nodes)'
    )
    .option('--detach', 'leave it running and return')
  withExample(
    withJson(withData(command)),
    'ringset up',
    'ringset up -c cluster-configs/single.yaml --data /tmp/one --detach'
  )
  command.action((options: UpOptions) => up(options))
}

async function up(options: UpOptions): Promise<void> {
  const signals = new StopSignals()
  const progress = new StartProgress()
  const startMs = performance.now()
  const config = options.config ?? usualConfig(options.data)
  noteWarnings(config, checkConfigText(readConfig(config)).warnings)
  const cluster = await startCluster({
    config,
    dataDirectory: options.data,
    signal: signals.stop,
    hurry: signals.hurry,
    onProgress: readiness => progress.show(readiness)
  }).finally(() => progress.end())
  try {
    const status = await cluster.status()
    if (options.json) printJson(upReport(cluster, status))
    else welcome(options.data, cluster, status, performance.now() - startMs).forEach(print)
    if (options.detach) return
    await watch(cluster, signals.stop, options.json === true)
    const stopped = await cluster.stopAll({
      hurry: signals.hurry,
      onStopped: report => note(stopText(report))
    })
    if (stopped.some(({ how }) => how === 'stuck')) process.exitCode = exitCodes.refused
    // Whoever stops all of them at once from elsewhere leaves none on record.
    if (!signals.stop.aborted && stopped.some(({ how }) => how === 'gone')) {
      throw new RingsetError('NODE_FAILED', 'no node runs any more, and nobody asked this to stop')
    }
  } finally {
    signals.release()
    cluster.close()
  }
}

function usualConfig(data: string): string {
  const { configFile } = dataFolder(data)
  return existsSync(configFile) ? configFile : defaultConfigPath()
}

/** Until somebody asks to stop, or has stopped all nodes from elsewhere. */
async function watch(cluster: RunningCluster, stop: AbortSignal, json: boolean): Promise<void> {
  const view = process.stdout.isTTY && !json ? new LiveView(process.stdout) : undefined
  let picture: Picture | undefined
  while (!stop.aborted && cluster.processes().some(({ id }) => cluster.isRunning(id))) {
    cluster.refresh()
    const former = picture
    picture = pictureOf(await cluster.control.sample(), former)
    if (view !== undefined) {
      view.draw(['', ...statusLines(picture, true), '', paint('Ctrl-C stops the cluster', 'dim')])
    } else if (former !== undefined && !json) {
      for (const event of clusterEvents(former.status, picture.status)) {
        print(`${new Date().toISOString()} ${event}`)
      }
    }
    await sleep(refreshMs, undefined, { signal: stop }).catch(() => {})
  }
}

function upReport(cluster: RunningCluster, status: ClusterStatus) {
  return {
    cluster: status.cluster,
    data: cluster.dataDirectory,
    epoch: status.epoch,
    nodes: cluster.config.nodes.map(({ id, host, peerPort, controlPort, roles }) => ({
      id,
      pid: status.nodes.find(node => node.id === id)?.pid ?? 0,
      roles: status.nodes.find(node => node.id === id)?.roles ?? [],
      addresses: {
        peer: hostPort(host, peerPort),
        control: hostPort(host, controlPort),
        clients: roles.flatMap(role =>
          role.role === 'transfer' ? [`tcp://${hostPort(host, role.tcpPort)}`] : []
        )
      }
    })),
    sets: status.sets.map(({ id, router }) => ({ id, leader: router.leader }))
  }
}

function welcome(
  data: string,
  cluster: RunningCluster,
  status: ClusterStatus,
  tookMs: number
): string[] {
  const where = data === defaultDataDirectory ? '' : ` --data ${data}`
  const gateways = status.sets.map(({ id, router, transfers }) => {
    const addresses = transfers.flatMap(transfer => transfer.addresses).join(' ')
    return `  set ${paint(id, 'bold')}  led by ${router.leader}, clients connect to ${addresses}`
  })
  const { length: processes } = status.nodes
  const first = cluster.config.nodes[0]!.id
  return [
    `${paint('ready', 'green')} in ${durationText(tookMs)}: cluster ${paint(status.cluster, 'bold')}, ${processes === 1 ? 'one process' : `${processes} processes`}, epoch ${status.epoch}, data in ${data}`,
    ...gateways,
    'try next:',
    `  ringset listen --as bob${where}`,
    `  ringset send --as ann --to bob "hello"${where}`,
    `  ringset status${where}`,
    `  ringset node kill ${first}${where}`,
    `  ringset down${where}`
  ]
}
