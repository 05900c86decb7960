import type { Command } from 'commander'
import { RingsetError } from '../../src/base/errors.ts'
import { openCluster } from '../../src/launch/launch.ts'
import type { RunningCluster, StopReport } from '../../src/launch/running-cluster.ts'
import { exitCodes, reportFailure } from '../failure.ts'
import { type DataOptions, type JsonOptions, withData, withExample, withJson } from '../options.ts'
import { StopSignals } from '../stop-signals.ts'
import { stopText } from '../stop-text.ts'
import { print, printJson } from '../terminal.ts'

type NodeOptions = DataOptions & JsonOptions

export function configureNode(command: Command): void {
  withExample(command, 'ringset node kill s1-a', 'ringset node start s1-a')
  const run = command
    .command('run <id>')
    .description('run one node in the foreground (systemd, containers); its log goes to stdout')
    .requiredOption('-c, --config <file>', 'configuration file')
  withExample(
    withData(run),
    'ringset node run s1-a -c cluster-configs/local.yaml --data /var/lib/ringset'
  )
  run.action((id: string, options: DataOptions & { config: string }) => runHere(id, options))

  add(command, 'start', 'start a node of `up` that does not run', async (cluster, id) => {
    await cluster.startNode(id)
    return { text: `started ${id}`, report: { state: 'running' } }
  })
  add(command, 'stop', 'stop a node in order (SIGTERM)', async (cluster, id) =>
    ended(await cluster.stopNode(id))
  )
  add(command, 'kill', 'kill a node (SIGKILL)', async (cluster, id) =>
    ended(await cluster.killNode(id))
  )
  add(command, 'pause', 'freeze a node (SIGSTOP)', async (cluster, id) => {
    cluster.pauseNode(id)
    return { text: `paused ${id}`, report: { state: 'paused' } }
  })
  add(command, 'resume', 'let a frozen node go on (SIGCONT)', async (cluster, id) => {
    cluster.resumeNode(id)
    return { text: `resumed ${id}`, report: { state: 'running' } }
  })
}

interface Outcome {
  readonly text: string
  readonly report: object
}

function add(
  parent: Command,
  verb: string,
  summary: string,
  work: (cluster: RunningCluster, id: string) => Promise<Outcome>
): void {
  const command = parent.command(`${verb} <id>`).description(summary)
  withExample(withJson(withData(command)), `ringset node ${verb} s1-a`)
  command.action(async (id: string, { data, json }: NodeOptions) => {
    const cluster = openCluster(data)
    try {
      const { text, report } = await work(cluster, id)
      const pid = cluster.processes().find(node => node.id === id)?.pid ?? 0
      if (json) printJson({ id, pid, ...report })
      else print(text)
    } finally {
      cluster.close()
    }
  })
}

function ended(report: StopReport): Outcome {
  if (report.how === 'stuck') process.exitCode = exitCodes.refused
  return { text: stopText(report), report: { state: report.how, ms: report.ms } }
}

async function runHere(id: string, options: DataOptions & { config: string }): Promise<void> {
  const { loadConfig } = await import('../../src/config/config.ts')
  const config = loadConfig(options.config)
  if (!config.nodes.some(node => node.id === id)) {
    const known = config.nodes.map(node => node.id).join(', ')
    throw new RingsetError('NODE_UNKNOWN', `${options.config} has no node ${id}, only ${known}`)
  }
  const { runNode } = await import('../../src/host/node.ts')
  const node = await runNode({ config, nodeId: id, dataDirectory: options.data })
  const { stop, hurry } = new StopSignals()
  stop.addEventListener('abort', () => void node.stop().catch(() => {}))
  hurry.addEventListener('abort', () => process.exit(exitCodes.refused))
  // Whatever still holds the event loop must not keep a node alive that has stopped, least of all one that had to give up.
  await node.stopped.catch(error => process.exit(reportFailure(error, false)))
  process.exit(0)
}
