import type { Command } from 'commander'
import type { ClusterControl } from '../../src/control/cluster-control.ts'
import type { RoutingTable } from '../../src/table/table.ts'
import {
  type JsonOptions,
  type TargetOptions,
  wholeNumber,
  withExample,
  withJson,
  withTarget
} from '../options.ts'
import { tableChanges } from '../table-changes.ts'
import { withControl } from '../target.ts'
import { paint, print, printJson, tableLines } from '../terminal.ts'

type TableOptions = TargetOptions & JsonOptions & { readonly diff?: number }

export function configureTable(command: Command): void {
  command.option(
    '--diff <epoch>',
    'what has changed since that epoch',
    wholeNumber(1, Number.MAX_SAFE_INTEGER)
  )
  withExample(withJson(withTarget(command)), 'ringset table', 'ringset table --diff 12')
  command.action((options: TableOptions) => withControl(options, control => show(control, options)))
}

async function show(control: ClusterControl, { json, diff }: TableOptions): Promise<void> {
  const table = await control.any(node => node.table())
  if (diff !== undefined) {
    const former = await control.any(node => node.table(diff))
    const changes = tableChanges(former, table)
    if (json) return printJson({ from: former.epoch, to: table.epoch, changes })
    print(`epoch ${former.epoch} → ${table.epoch}: ${changes.length} changes`)
    for (const change of changes) print(`  ${change}`)
  } else if (json) printJson(table)
  else for (const line of describe(table)) print(line)
}

function describe(table: RoutingTable): string[] {
  const { clusterId, epoch, slotCount, runs, moves, grey, pins, tenants, sets, arbiters } = table
  const owned = (setId: string) =>
    runs.reduce((sum, run) => sum + (run.setId === setId ? run.count : 0), 0)
  const processes = sets.flatMap(set => [
    ...set.routers.map(entry => [
      set.id,
      `router ${entry.replicaId}`,
      entry.nodeId,
      entry.role === 'voter' ? entry.state : `${entry.state}, learner`,
      entry.address
    ]),
    ...set.logics.map(entry => [
      set.id,
      `logic ${entry.id}`,
      entry.nodeId,
      entry.state,
      entry.address
    ]),
    ...set.transfers.map(entry => [
      set.id,
      `transfer ${entry.id}`,
      entry.nodeId,
      entry.state,
      entry.clientAddresses.join(' ')
    ])
  ])
  return [
    `cluster ${paint(clusterId, 'bold')}  epoch ${paint(String(epoch), 'bold')}  ${slotCount} slots in ${runs.length} runs  ${pins.length} pins`,
    `arbiters: ${arbiters.map(({ replicaId, nodeId }) => `${replicaId} on ${nodeId}`).join(', ')}`,
    '',
    ...tableLines(
      ['set', 'zone', 'state', 'weight', 'slots'],
      sets.map(set => [set.id, set.zone, set.state, set.weight, owned(set.id)])
    ),
    '',
    ...tableLines(['set', 'process', 'node', 'state', 'address'], processes),
    ...moves.map(({ slot, to }) => `slot ${slot} on its way to ${to}`),
    ...tenants.map(({ id, prefix, first, count }) => {
      return `tenant ${id}: users "${prefix}…" in slots ${first}..${first + count - 1}`
    }),
    ...pins.map(pin => `pin ${pin.match} ${pin.value} → ${pin.setId}`),
    ...grey.map(({ version }) => `a rule for logics of ${version}: see \`ringset grey list\``)
  ]
}
