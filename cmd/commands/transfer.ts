import { type Command, InvalidArgumentError } from 'commander'
import { type DrainReport, TransferOperator } from '../../src/control/transfer-operator.ts'
import { drainProgressText } from '../drain-progress.ts'
import {
  type JsonOptions,
  seconds,
  type TargetOptions,
  wholeNumber,
  withExample,
  withJson,
  withTarget
} from '../options.ts'
import { ProgressLine } from '../progress-line.ts'
import { withControl } from '../target.ts'
import { note, print, printJson } from '../terminal.ts'

type TransferOptions = TargetOptions & JsonOptions
interface DrainOptions extends TransferOptions {
  readonly over?: number
  readonly threshold?: number
  readonly force?: true
}

function windowSeconds(text: string): number {
  const value = seconds(text)
  if (value <= 86_400) return value
  throw new InvalidArgumentError('It must be a day at the most.')
}

export function configureTransfer(command: Command): void {
  withExample(command, 'ringset transfer drain s1-t1', 'ringset transfer undrain s1-t1')
  const drain = command
    .command('drain <id>')
    .description('send the clients of a gateway to the others of its set, and take no more')
    .option(
      '--over <seconds>',
      'clients leave evenly over so long (default: 2 s, or 1 s per 500 of them)',
      windowSeconds
    )
    .option(
      '--threshold <n>',
      'done when so many connections are left (default: 0)',
      wholeNumber(0, 1_000_000)
    )
    .option('--force', 'also when no other gateway of the set is up')
  withExample(withJson(withTarget(drain)), 'ringset transfer drain s1-t1 --over 60')
  drain.action((id: string, options: DrainOptions) => runDrain(id, options))
  const undrain = command
    .command('undrain <id>')
    .description('let a gateway that drains take clients again')
  withExample(withJson(withTarget(undrain)), 'ringset transfer undrain s1-t1')
  undrain.action(async (id: string, options: TransferOptions) => {
    report(
      options,
      await withControl(options, control => new TransferOperator(control).undrain(id))
    )
  })
}

async function runDrain(id: string, options: DrainOptions): Promise<void> {
  const { over, threshold, force } = options
  const view = new ProgressLine('Ctrl-C leaves it draining')
  const drained = await withControl(options, control =>
    new TransferOperator(control).drain(id, {
      overMs: over === undefined ? undefined : Math.ceil(over * 1_000),
      threshold,
      force,
      onProgress: progress => view.show(`${id}: ${drainProgressText(progress)}`)
    })
  ).finally(() => view.end())
  report(options, drained)
  if (!options.json)
    note(`next: ringset node stop ${drained.node}, or ringset transfer undrain ${id}`)
}

function report({ json }: JsonOptions, done: DrainReport): void {
  if (json) printJson(done)
  else print(drainText(done))
}

function drainText({ transfer, state, connections, moved, seconds, changed }: DrainReport): string {
  const left = `${connections} ${connections === 1 ? 'connection' : 'connections'}`
  if (state === 'up') {
    if (!changed) return `${transfer} takes clients already, ${left}`
    return `${transfer} takes clients again, ${left}; ${moved} had gone`
  }
  const already = changed ? '' : ' already'
  return `${transfer} drains${already}: ${moved} moved, ${left} left, ${seconds.toFixed(1)} s`
}
