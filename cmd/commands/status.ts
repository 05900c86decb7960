import type { Command } from 'commander'
import { RingsetError } from '../../src/base/errors.ts'
import {
  type JsonOptions,
  type TargetOptions,
  withExample,
  withJson,
  withTarget
} from '../options.ts'
import { pictureOf } from '../rates.ts'
import { statusLines } from '../status-lines.ts'
import { withControl } from '../target.ts'
import { print, printJson } from '../terminal.ts'

type StatusOptions = TargetOptions & JsonOptions

export function configureStatus(command: Command): void {
  withExample(withJson(withTarget(command)), 'ringset status', 'ringset status --json')
  command.action((options: StatusOptions) => status(options))
}

async function status(options: StatusOptions): Promise<void> {
  const sample = await withControl(options, control => control.sample())
  const silent = sample.nodes.filter(node => node.status === undefined)
  if (silent.length === sample.nodes.length) {
    throw new RingsetError(silent[0]?.error ?? 'UNREACHABLE', 'no node of the cluster answers')
  }
  const picture = pictureOf(sample)
  if (options.json) printJson(picture.status)
  else for (const line of statusLines(picture, false)) print(line)
}
