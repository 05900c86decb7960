import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { RingsetError } from '../../src/base/errors.ts'
import type { ClusterControl, ClusterSample } from '../../src/control/cluster-control.ts'
import { LiveView } from '../live-view.ts'
import {
  type JsonOptions,
  seconds,
  type TargetOptions,
  wholeNumber,
  withExample,
  withJson,
  withTarget
} from '../options.ts'
import { type Picture, pictureOf } from '../rates.ts'
import { statusLines } from '../status-lines.ts'
import { StopSignals } from '../stop-signals.ts'
import { withControl } from '../target.ts'
import { paint, print, printJsonLine } from '../terminal.ts'
import { topJson, topLine } from '../top-lines.ts'

interface TopOptions extends TargetOptions, JsonOptions {
  readonly interval: number
  readonly count?: number
}

export function configureTop(command: Command): void {
  command
    .option('--interval <seconds>', 'time between two looks', seconds, 1)
    .option('--count <n>', 'how many looks (default: until Ctrl-C)', wholeNumber(1, 1_000_000))
  withExample(
    withJson(withTarget(command)),
    'ringset top',
    'ringset top --interval 10 >> top.log',
    'ringset top --json --count 1'
  )
  command.action((options: TopOptions) => withControl(options, control => top(control, options)))
}

async function top(control: ClusterControl, options: TopOptions): Promise<void> {
  const { json, interval, count = Number.POSITIVE_INFINITY } = options
  const signals = new StopSignals()
  const live = process.stdout.isTTY && !json ? new LiveView(process.stdout) : undefined
  try {
    let picture = pictureOf(await firstLook(control))
    for (let looks = 0; looks < count; looks++) {
      const waitMs = picture.atMs + interval * 1_000 - performance.now()
      await sleep(Math.max(0, waitMs), undefined, { signal: signals.stop }).catch(() => {})
      if (signals.stop.aborted) return
      picture = pictureOf(await look(control), picture)
      if (json) printJsonLine(topJson(picture))
      else if (live === undefined) print(topLine(picture))
      else live.draw(view(picture))
    }
  } finally {
    signals.release()
  }
}

/** Throws UNREACHABLE when nobody answers: later that is something to show. */
async function firstLook(control: ClusterControl): Promise<ClusterSample> {
  const sample = await look(control)
  if (sample.nodes.some(({ status }) => status !== undefined)) return sample
  throw new RingsetError(sample.nodes[0]?.error ?? 'UNREACHABLE', 'no node of the cluster answers')
}

/** Follows a cluster that gets more nodes. */
async function look(control: ClusterControl): Promise<ClusterSample> {
  const sample = await control.sample()
  const known = new Map(sample.nodes.map(node => [node.id, node]))
  const told = sample.nodes.flatMap(({ status }) => status?.nodes ?? [])
  const added = told.filter(({ id }) => !known.has(id))
  if (added.length > 0) control.setNodes([...sample.nodes, ...added])
  return sample
}

function view(picture: Picture): string[] {
  const hint = paint(`${new Date().toLocaleTimeString()}  Ctrl-C ends`, 'dim')
  return [...statusLines(picture, true), '', hint]
}
