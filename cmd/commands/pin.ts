import type { Command } from 'commander'
import { PinOperator, type PinReport, type PinView } from '../../src/control/pin-operator.ts'
import { TenantOperator } from '../../src/control/tenant-operator.ts'
import { exitCodes } from '../failure.ts'
import {
  type JsonOptions,
  type TargetOptions,
  withExample,
  withJson,
  withTarget
} from '../options.ts'
import { StopSignals } from '../stop-signals.ts'
import { withControl } from '../target.ts'
import {
  addTenantPin,
  pinnedOf,
  removeTenantPin,
  type TenantOptions,
  tenantRow
} from '../tenant-pins.ts'
import { note, paint, print, printJson, tableLines } from '../terminal.ts'

type PinOptions = TargetOptions & JsonOptions
interface AddOptions extends PinOptions, TenantOptions {
  readonly set: string
  readonly dryRun?: true
  /** False with `--no-wait`. */
  readonly wait: boolean
}
interface RemoveOptions extends PinOptions, TenantOptions {
  readonly now?: true
  readonly wait: boolean
}

export function configurePin(command: Command): void {
  withExample(command, 'ringset pin add ann --set s2', 'ringset pin list')
  const add = command
    .command('add')
    .argument('[uid]', 'the user')
    .description('hold the slot of a user, or those of a tenant, in a set, whatever the ring says')
    .requiredOption('--set <set>', 'the set')
    .option('--tenant <tenant>', 'in place of a user: a tenant of the configuration')
    .option('--prefix <prefix>', 'the tenant that has this prefix')
    .option('--dry-run', 'only print what would happen')
    .option('--no-wait', 'return when what has to move is on its way')
  finish(add, 'ringset pin add ann --set s2', 'ringset pin add --tenant acme --set s2')
  add.action((uid: string | undefined, options: AddOptions) => {
    const pinned = pinnedOf(uid, options)
    if (typeof pinned === 'string') return runAdd(pinned, options)
    return addTenantPin(pinned, options.set, options)
  })
  const remove = command
    .command('remove')
    .argument('[uid]', 'the user')
    .description('let the slot of a user, or those of a tenant, go')
    .option('--tenant <tenant>', 'in place of a user: a tenant of the configuration')
    .option('--prefix <prefix>', 'the tenant that has this prefix')
    .option('--now', 'send it back to where the ring has it, without waiting for a rebalance')
    .option('--no-wait', 'with --now: return when it is on its way')
  finish(remove, 'ringset pin remove ann', 'ringset pin remove ann --now')
  remove.action((uid: string | undefined, options: RemoveOptions) => {
    const pinned = pinnedOf(uid, options)
    return typeof pinned === 'string'
      ? runRemove(pinned, options)
      : removeTenantPin(pinned, options)
  })
  const list = command
    .command('list')
    .description('show every pin, every tenant, and where their slots are')
  finish(list, 'ringset pin list')
  list.action((options: PinOptions) => runList(options))
}

function finish(command: Command, ...examples: readonly string[]): void {
  withExample(withJson(withTarget(command)), ...examples)
}

async function runAdd(uid: string, options: AddOptions): Promise<void> {
  const { set, dryRun, json, wait } = options
  if (dryRun) {
    const plan = await withControl(options, control => new PinOperator(control).plan(uid, set))
    if (json) return printJson(plan)
    const way = plan.from === set ? 'and is there already' : `and would move from ${plan.from}`
    print(`${uid} would be pinned to set ${set}: ${slotText(plan)}, ${way}`)
    return print(sharedText(plan))
  }
  const report = await withSignals(options, (operator, signal) =>
    operator.add(uid, set, { wait, signal })
  )
  if (json) printJson(report)
  else {
    const already = report.changed ? '' : ' already'
    print(`${paint(uid, 'bold')} is pinned to set ${set}${already}: ${slotText(report)}`)
    print(sharedText(report))
    print(whereText(report))
  }
  const staysAway = report.owner !== set && report.movingTo === ''
  if (staysAway) note('the move was called off; the pin is there, the same command tries again')
  if (report.owner !== set && wait) process.exitCode = exitCodes.refused
}

async function runRemove(uid: string, options: RemoveOptions): Promise<void> {
  const { now, json, wait } = options
  const report = await withSignals(options, (operator, signal) =>
    operator.remove(uid, now === true, { wait, signal })
  )
  const { changed, pinnedBy, tenant, tenantPinned } = report
  const free = pinnedBy.length === 0 && !tenantPinned
  if (now && wait && free && report.owner !== report.target) process.exitCode = exitCodes.refused
  if (json) return printJson(report)
  print(
    `${paint(uid, 'bold')} ${changed ? 'is not pinned any more' : 'was not pinned'}: ${slotText(report)}`
  )
  if (pinnedBy.length > 0) print(`the slot is still held by the pin of ${namesText(pinnedBy)}`)
  if (tenantPinned) print(`the slot is still held by the pin of tenant ${tenant}`)
  print(whereText(report))
  const { owner, movingTo, target } = report
  if ((movingTo || owner) !== target) print(`\`ringset slot rebalance\` brings it to ${target}`)
}

async function runList(options: PinOptions): Promise<void> {
  const { slotCount, pins, tenants } = await withControl(options, async control => {
    return {
      ...(await new PinOperator(control).list()),
      tenants: await new TenantOperator(control).list()
    }
  })
  if (options.json) return printJson({ slotCount, pins, tenants })
  if (tenants.length > 0) {
    const head = ['tenant', 'users', 'slots', 'pinned to', 'the slots']
    for (const line of tableLines(head, tenants.map(tenantRow))) print(line)
  }
  if (pins.length === 0) return print('no user is pinned')
  const rows = pins.map(pin => [pin.uid, pin.slot, pin.set, stateText(pin)])
  for (const line of tableLines(['user', 'slot', 'set', 'the slot'], rows)) print(line)
  print(`each slot is 1 of ${slotCount}; its other users are held with it`)
}

/** Ctrl-C ends the wait, not the move. */
async function withSignals(
  options: PinOptions,
  work: (operator: PinOperator, signal: AbortSignal) => Promise<PinReport>
): Promise<PinReport> {
  const signals = new StopSignals()
  signals.hurry.addEventListener('abort', () => process.exit(exitCodes.refused))
  try {
    return await withControl(options, control => work(new PinOperator(control), signals.stop))
  } finally {
    signals.release()
  }
}

function slotText({ slot, slotCount }: PinReport): string {
  return `slot ${slot}, 1 of ${slotCount}`
}

function sharedText({ uid, users, slotCount, tenant }: PinReport): string {
  if (tenant !== '') {
    return `the others in the slot, all of tenant ${tenant}, are held with ${uid}; for all of the tenant: --tenant ${tenant}`
  }
  const some = users === 0 ? '' : `, some ${users} now`
  return `the others in the slot are held with ${uid}: about 1/${slotCount} of all users${some}`
}

function whereText({ from, owner, movingTo, seconds }: PinReport): string {
  if (movingTo !== '') return `it is on its way from ${owner} to ${movingTo}`
  if (from === owner) return `it is in set ${owner}, as before`
  return `it has moved from ${from} to ${owner}, ${seconds.toFixed(1)} s`
}

function stateText({ set, owner, movingTo }: PinView): string {
  if (movingTo !== '') return `on its way from ${owner} to ${movingTo}`
  return owner === set ? 'is there' : `is in ${owner}; \`ringset slot rebalance\` brings it`
}

function namesText(uids: readonly string[]): string {
  const others = uids.length > 3 ? ` and ${uids.length - 3} more` : ''
  return `${uids.slice(0, 3).join(', ')}${others}`
}
