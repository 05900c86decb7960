import { RingsetError } from '../src/base/errors.ts'
import type { CarryOptions } from '../src/control/slot-operator.ts'
import {
  type TenantName,
  TenantOperator,
  type TenantReport,
  type TenantView
} from '../src/control/tenant-operator.ts'
import { exitCodes } from './failure.ts'
import type { JsonOptions, TargetOptions } from './options.ts'
import { planLines, progressText } from './plan-lines.ts'
import { ProgressLine } from './progress-line.ts'
import { slotsText } from './slot-list.ts'
import { StopSignals } from './stop-signals.ts'
import { withControl } from './target.ts'
import { note, paint, print, printJson } from './terminal.ts'

type Options = TargetOptions & JsonOptions

export interface TenantOptions {
  readonly tenant?: string
  readonly prefix?: string
}

/** Whom a pin is of: a user, or a tenant by its name or prefix. Throws USAGE unless it is exactly one. */
export function pinnedOf(
  uid: string | undefined,
  { tenant, prefix }: TenantOptions
): string | TenantName {
  const named = [uid, tenant, prefix].filter(name => name !== undefined)
  if (named.length !== 1) {
    throw new RingsetError('USAGE', 'say whom: a user, --tenant or --prefix, one of them')
  }
  if (uid !== undefined) return uid
  return tenant === undefined ? { prefix: prefix! } : { id: tenant }
}

export async function addTenantPin(
  name: TenantName,
  set: string,
  options: Options & { readonly dryRun?: true; readonly wait: boolean }
): Promise<void> {
  if (options.dryRun) {
    const plan = await withControl(options, control => new TenantOperator(control).plan(name, set))
    if (options.json) return printJson(plan)
    print(`${plan.tenant} would be pinned to set ${set}: ${rangeText(plan)}`)
    for (const line of planLines(plan.moves)) print(line)
    return
  }
  const { wait } = options
  const report = await carried(options, (operator, how) =>
    operator.add(name, set, { ...how, wait })
  )
  if (options.json) printJson(report)
  else {
    const already = report.changed ? '' : ' already'
    print(
      `tenant ${paint(report.tenant, 'bold')} is pinned to set ${set}${already}: ${rangeText(report)}`
    )
    for (const line of whereLines(report)) print(line)
  }
  if (report.aborted.length > 0) {
    note('moves were called off; the pin is there, the same command tries again')
  }
  const there = report.owners[set] === report.slots
  if (!there && wait) process.exitCode = exitCodes.refused
}

export async function removeTenantPin(
  name: TenantName,
  options: Options & { readonly now?: true; readonly wait: boolean }
): Promise<void> {
  const { now = false, wait } = options
  const report = await carried(options, (operator, how) =>
    operator.remove(name, now, { ...how, wait })
  )
  if (now && wait && report.moved < report.total) process.exitCode = exitCodes.refused
  if (options.json) return printJson(report)
  const what = report.changed ? 'is not pinned any more' : 'was not pinned'
  print(`tenant ${paint(report.tenant, 'bold')} ${what}: ${rangeText(report)}`)
  for (const line of whereLines(report)) print(line)
  if (!now) print('`ringset slot rebalance` brings them to where the ring has them')
}

/** As a line of `pin list`. */
export function tenantRow(tenant: TenantView): (string | number)[] {
  const { prefix, slots, set, owners, moving } = tenant
  const places = Object.entries(owners)
    .sort()
    .map(([id, count]) => `${count} in ${id}`)
  const parts = moving === 0 ? places : [...places, `${moving} on their way`]
  return [tenant.tenant, `${prefix}…`, slots, set || 'not pinned', parts.join(', ')]
}

/** Ctrl-C ends the wait, not the moves. */
async function carried(
  options: Options,
  work: (operator: TenantOperator, how: CarryOptions) => Promise<TenantReport>
): Promise<TenantReport> {
  const signals = new StopSignals()
  signals.hurry.addEventListener('abort', () => process.exit(exitCodes.refused))
  const line = new ProgressLine('Ctrl-C stops waiting, not the moves')
  try {
    return await withControl(options, control =>
      work(new TenantOperator(control), {
        signal: signals.stop,
        onProgress: progress => line.show(progressText(progress))
      })
    )
  } finally {
    line.end()
    signals.release()
  }
}

function rangeText({ prefix, first, slots }: TenantView): string {
  const range = slots === 1 ? `slot ${first}` : `slots ${first}..${first + slots - 1}`
  return `${range}, all users whose name begins with "${prefix}" and nobody else`
}

function whereLines({ total, moved, aborted, moving, seconds, owners }: TenantReport): string[] {
  const lines: string[] = []
  if (total > 0) lines.push(`${moved} of ${total} slots have moved, ${seconds.toFixed(1)} s`)
  if (moving > 0) lines.push(`${moving} are on their way`)
  if (aborted.length > 0) lines.push(`aborted, where they were: ${slotsText(aborted)}`)
  const places = Object.entries(owners).sort()
  if (total === 0) lines.push(`they are in ${places.map(([id]) => id).join(', ')}, as before`)
  return lines
}
