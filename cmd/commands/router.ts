import type { Command } from 'commander'
import {
  arbiterGroup,
  type ChangeReport,
  type PlacedReplica,
  ReplicaOperator,
  type TransferReport
} from '../../src/control/replica-operator.ts'
import {
  type JsonOptions,
  type TargetOptions,
  wholeNumber,
  withExample,
  withJson,
  withTarget
} from '../options.ts'
import { withControl } from '../target.ts'
import { note, print, printJson } from '../terminal.ts'

type RouterOptions = TargetOptions & JsonOptions
type ForcedOptions = RouterOptions & { readonly force?: true }

const replicaNumber = wholeNumber(1, 255)
const forceText = 'also when the loss of its zone would then cost the group its majority'

export function configureRouter(command: Command): void {
  withExample(command, 'ringset router transfer s1', 'ringset router add s1 --node s1-d')
  configureTransfer(command)
  const add = command
    .command('add <set>')
    .description('add the replica that waits on a node, as a learner without a vote')
    .requiredOption('--node <id>', 'node with a router role of the set that has `join: true`')
    .option('--force', forceText)
  finish(add, 'ringset router add s1 --node s1-d')
  add.action((set: string, options: ForcedOptions & { node: string }) =>
    run(options, operator => operator.add(set, options.node, options.force), reportAdded)
  )
  const promote = command
    .command('promote <set>')
    .description('give a learner its vote')
    .argument('<replica>', 'number of the replica', replicaNumber)
    .option('--force', forceText)
  finish(promote, 'ringset router promote s1 4')
  promote.action((set: string, replica: number, options: ForcedOptions) =>
    run(options, operator => operator.promote(set, replica, options.force), reportPromoted)
  )
  const remove = command
    .command('remove <set>')
    .description('take a replica out of the group for ever; a leader hands over first')
    .argument('<replica>', 'number of the replica', replicaNumber)
  finish(remove, 'ringset router remove s1 1')
  remove.action((set: string, replica: number, options: RouterOptions) =>
    run(options, operator => operator.remove(set, replica), reportRemoved)
  )
}

function configureTransfer(command: Command): void {
  const transfer = command
    .command('transfer [set]')
    .description('hand leadership of a set’s routers, or of the arbiters, to another replica')
    .option('--to <replica>', 'number of the replica that should lead', replicaNumber)
    .option('--arbiters', 'of the arbiter group instead of a set')
  finish(transfer, 'ringset router transfer s1 --to 2', 'ringset router transfer --arbiters')
  transfer.action(
    (set: string | undefined, options: RouterOptions & { to?: number; arbiters?: true }) => {
      if ((set === undefined) === (options.arbiters === undefined)) {
        transfer.error('name a set, or say --arbiters')
      }
      const group = set ?? arbiterGroup
      return run(options, operator => operator.transfer(group, options.to), reportTransfer)
    }
  )
}

function finish(command: Command, ...examples: readonly string[]): void {
  withExample(withJson(withTarget(command)), ...examples)
}

async function run<T>(
  options: RouterOptions,
  work: (operator: ReplicaOperator) => Promise<T>,
  describe: (report: T) => void
): Promise<void> {
  const report = await withControl(options, control => work(new ReplicaOperator(control)))
  if (options.json) printJson(report)
  else describe(report)
}

function reportTransfer({ set, from, to, term, gapMs }: TransferReport): void {
  if (from.replica === to.replica) print(`${placeText(to)} leads ${set} already (term ${term})`)
  else {
    const gap = `${gapMs.toFixed(1)} ms without a leader`
    print(`${set}: from ${placeText(from)} to ${placeText(to)}, term ${term}, ${gap}`)
  }
}

function reportAdded(report: ChangeReport): void {
  const done = report.changed ? 'learns from now on' : 'is a learner already'
  print(`${report.set}: ${placeText(report)} ${done}; ${membersText(report)}`)
  note(`next: ringset router promote ${report.set} ${report.replica}`)
}

function reportPromoted(report: ChangeReport): void {
  const done = report.changed ? 'has a vote from now on' : 'has a vote already'
  print(`${report.set}: ${placeText(report)} ${done}; ${membersText(report)}`)
}

function reportRemoved(report: ChangeReport): void {
  if (report.handOver !== null) reportTransfer(report.handOver)
  const done = report.changed ? 'is removed' : 'was removed before'
  print(`${report.set}: ${placeText(report)} ${done}; ${membersText(report)}`)
  note('take its role out of the configuration; its number is never used again')
}

function placeText({ replica, node }: PlacedReplica): string {
  return node === '' ? `replica ${replica}` : `replica ${replica} (${node})`
}

function membersText({ voters, learners }: ChangeReport): string {
  const rest = learners.length === 0 ? '' : `, learners ${learners.join(' ')}`
  return `voters ${voters.join(' ')}${rest}`
}
