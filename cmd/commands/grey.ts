import { type Command, InvalidArgumentError } from 'commander'
import { RingsetError } from '../../src/base/errors.ts'
import {
  type GreyLogic,
  GreyOperator,
  type GreyReport,
  type RuleView
} from '../../src/control/grey-operator.ts'
import { TenantOperator } from '../../src/control/tenant-operator.ts'
import {
  type JsonOptions,
  type TargetOptions,
  withExample,
  withJson,
  withTarget
} from '../options.ts'
import { withControl } from '../target.ts'
import { note, print, printJson, tableLines } from '../terminal.ts'

type GreyOptions = TargetOptions & JsonOptions
interface SetOptions extends GreyOptions {
  readonly percent?: number
  readonly users?: string[]
  readonly prefix?: string[]
  readonly tenant?: string[]
}

export function configureGrey(command: Command): void {
  withExample(command, 'ringset grey set 0.2.0 --percent 5', 'ringset grey undo')
  const set = command
    .command('set')
    .argument('<version>', 'exactly as the logics announce it')
    .description('send some users to logics of a version, and nobody else')
    .option('--percent <share>', 'of all users, 0 to 100, in steps of 0.01', share)
    .option('--users <uids>', 'users by name, with commas between them', names)
    .option('--prefix <prefixes>', 'users by the beginning of their name, with commas', names)
    .option('--tenant <tenants>', 'the users of tenants, with commas: their prefixes', names)
  finish(set, 'ringset grey set 0.2.0 --percent 5', 'ringset grey set 0.2.0 --users ann,bob')
  set.action((version: string, options: SetOptions) => runSet(version, options))
  const list = command.command('list').description('show the rules, and the logics of each version')
  finish(list, 'ringset grey list')
  list.action((options: GreyOptions) => runList(options))
  const undo = command
    .command('undo')
    .argument('[version]', 'every rule when left out')
    .description('take a rule back, at once for everybody')
  finish(undo, 'ringset grey undo', 'ringset grey undo 0.2.0')
  undo.action((version: string | undefined, options: GreyOptions) => runUndo(version, options))
}

function finish(command: Command, ...examples: readonly string[]): void {
  withExample(withJson(withTarget(command)), ...examples)
}

async function runSet(version: string, options: SetOptions): Promise<void> {
  const { percent, users = [], prefix = [], tenant = [] } = options
  if (percent === undefined && users.length + prefix.length + tenant.length === 0) {
    const text =
      'say whom: --percent, --users, --prefix or --tenant (--percent 0 keeps everybody away)'
    throw new RingsetError('USAGE', text)
  }
  const report = await withControl(options, async control => {
    const prefixes = [...prefix]
    for (const id of tenant) prefixes.push((await new TenantOperator(control).find({ id })).prefix)
    return new GreyOperator(control).set({ version, percent: percent ?? 0, uids: users, prefixes })
  })
  if (options.json) return printJson(report)
  const made = report.rules.find(one => one.version === version)
  if (made !== undefined) print(`logics of ${version} serve ${whomText(made)}`)
  for (const line of warnings(report)) note(line)
}

async function runList(options: GreyOptions): Promise<void> {
  const report = await withControl(options, control => new GreyOperator(control).list())
  if (options.json) return printJson(report)
  const { rules, others } = report
  const rows = rules.map(rule => [rule.version, whomText(rule), logicsText(rule.logics)])
  const versions = [...new Set(others.map(({ version }) => version))]
  for (const version of versions) {
    const whom = rules.length === 0 ? 'everybody' : 'everybody else'
    rows.push([version, whom, logicsText(others.filter(logic => logic.version === version))])
  }
  for (const line of tableLines(['version', 'serves', 'logics'], rows)) print(line)
  for (const line of warnings(report)) note(line)
}

async function runUndo(version: string | undefined, options: GreyOptions): Promise<void> {
  const report = await withControl(options, control =>
    new GreyOperator(control).undo(version ?? '')
  )
  if (options.json) return printJson(report)
  const what = version === undefined ? 'every rule' : `the rule for ${version}`
  const none = version === undefined ? 'there was no rule' : `there was no rule for ${version}`
  print(report.changed ? `${what} is taken back, in force from epoch ${report.epoch} on` : none)
}

/** Where the rules cannot have their way, for want of logics. */
function warnings({ rules, others }: Pick<GreyReport, 'rules' | 'others'>): string[] {
  if (rules.length === 0) return []
  const all = [...others, ...rules.flatMap(({ logics }) => logics)]
  const sets = [...new Set(all.map(({ set }) => set))].sort()
  const without = (logics: readonly GreyLogic[]) =>
    sets.filter(set => !logics.some(logic => logic.set === set && logic.state === 'up'))
  const lines = rules.flatMap(({ version, logics }) => {
    const lacking = without(logics)
    if (lacking.length === 0) return []
    return [`no logic of ${version} is up in ${lacking.join(', ')}: others stand in there`]
  })
  const alone = without(others)
  if (alone.length === 0) return lines
  return [
    ...lines,
    `only logics that rules name are up in ${alone.join(', ')}: they serve everybody`
  ]
}

function whomText({ percent, uids, prefixes }: RuleView): string {
  const parts: string[] = []
  if (percent > 0) parts.push(`${percent} % of the users`)
  if (uids.length > 0) parts.push(briefly(uids))
  if (prefixes.length > 0) parts.push(`whose name begins with ${briefly(prefixes)}`)
  return parts.length === 0 ? 'nobody' : parts.join(', ')
}

function briefly(list: readonly string[]): string {
  const others = list.length > 5 ? ` and ${list.length - 5} more` : ''
  return `${list.slice(0, 5).join(' ')}${others}`
}

function logicsText(logics: readonly GreyLogic[]): string {
  if (logics.length === 0) return 'none'
  return logics.map(({ id, state }) => (state === 'up' ? id : `${id} (${state})`)).join(' ')
}

function share(text: string): number {
  const value = /^\d{1,3}(\.\d{1,2})?$/.test(text) ? Number(text) : Number.NaN
  if (value <= 100) return value
  throw new InvalidArgumentError('It must be 0 to 100, with two decimals at the most.')
}

function names(text: string): string[] {
  const list = text.split(',')
  if (list.every(name => name !== '')) return list
  throw new InvalidArgumentError('It must be names with single commas between them.')
}
