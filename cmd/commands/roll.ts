import { rmSync } from 'node:fs'
import type { Command } from 'commander'
import { RingsetError } from '../../src/base/errors.ts'
import { dataFolder } from '../../src/config/data-folder.ts'
import { openCluster } from '../../src/launch/launch.ts'
import { tryLock } from '../../src/launch/launch-lock.ts'
import type { RunningCluster } from '../../src/launch/running-cluster.ts'
import { Probe, type Proof } from '../../src/roll/probe.ts'
import { Roll, type RolledNode } from '../../src/roll/roll.ts'
import { exitCodes } from '../failure.ts'
import { type DataOptions, type JsonOptions, withData, withExample, withJson } from '../options.ts'
import { RollView } from '../roll-view.ts'
import { StopSignals } from '../stop-signals.ts'
import { clean, grouped, note, paint, print, printJson } from '../terminal.ts'

interface RollCommandOptions extends DataOptions, JsonOptions {
  readonly sets?: readonly string[]
}

interface RollReport extends Omit<Proof, 'ok' | 'findings'> {
  readonly nodes: readonly RolledNode[]
  /** Not restarted: Ctrl-C came first. */
  readonly left: readonly string[]
  readonly seconds: number
}

export function configureRoll(command: Command): void {
  command.option('--sets <ids...>', 'only the nodes of these sets (default: every node)')
  withExample(withJson(withData(command)), 'ringset roll', 'ringset roll --sets s1')
  command.action((options: RollCommandOptions) => run(options))
}

async function run(options: RollCommandOptions): Promise<void> {
  const cluster = openCluster(options.data)
  const { rollLockFile } = dataFolder(options.data)
  // A lock that a dead process left behind is cleared by the first try.
  if (!tryLock(rollLockFile) && !tryLock(rollLockFile)) {
    cluster.close()
    throw new RingsetError(
      'ALREADY_RUNNING',
      'another `ringset roll`, or a drill, is at this cluster'
    )
  }
  try {
    await roll(cluster, options)
  } finally {
    rmSync(rollLockFile, { force: true })
    cluster.close()
  }
}

async function roll(cluster: RunningCluster, { sets, json }: RollCommandOptions): Promise<void> {
  const signals = new StopSignals()
  signals.stop.addEventListener('abort', () => view.stopping())
  // Whoever presses again wants to be gone; the node that is down at that moment stays down.
  signals.hurry.addEventListener('abort', () => process.exit(exitCodes.refused))
  const view = new RollView()
  const nodes: RolledNode[] = []
  const work = new Roll(cluster, {
    sets,
    signal: signals.stop,
    onProgress: progress => view.show(progress, probe),
    onNode: node => nodes.push(node)
  })
  let probe: Probe | undefined
  const startMs = performance.now()
  try {
    await work.check()
    probe = await Probe.start(cluster)
    await work.run()
    view.judging()
    const { ok, findings, ...proof } = await probe.end()
    view.end()
    const seconds = Math.round(performance.now() - startMs) / 1_000
    const report: RollReport = { nodes, left: work.left, ...proof, seconds }
    if (json) printJson(report)
    else reportLines(report, ok).forEach(print)
    for (const finding of findings) note(finding)
    if (!ok || work.left.length > 0) process.exitCode = exitCodes.refused
  } catch (error) {
    view.end()
    const far = `${nodes.length} of ${nodes.length + work.left.length} nodes are restarted`
    if (nodes.length > 0) note(`${far}, left: ${work.left.join(' ')}`)
    throw error
  } finally {
    await probe?.close()
    signals.release()
  }
}

function reportLines(report: RollReport, ok: boolean): string[] {
  const { nodes, left, acked, lost, duplicated, errors, longestGapMs, seconds } = report
  const stopped = left.length === 0 ? '' : `, not restarted: ${clean(left.join(' '))}`
  const verdict = ok ? paint('nobody noticed', 'green') : paint('users noticed', 'red')
  return [
    `${nodes.length} nodes restarted in ${seconds.toFixed(1)} s${stopped}`,
    `${grouped(acked)} messages acknowledged meanwhile: ${lost} lost, ${duplicated} duplicated, ${errors} errors surfaced, longest gap ${grouped(longestGapMs)} ms`,
    verdict
  ]
}
