import type { Command } from 'commander'
import {
  type JsonOptions,
  type TargetOptions,
  withExample,
  withJson,
  withTarget
} from '../options.ts'
import { withControl } from '../target.ts'
import { paint, print, printJson, tableLines } from '../terminal.ts'

type RouteOptions = TargetOptions & JsonOptions

export function configureRoute(command: Command): void {
  command.argument('<uid>', 'the user')
  withExample(withJson(withTarget(command)), 'ringset route ann')
  command.action((uid: string, options: RouteOptions) => route(uid, options))
}

async function route(uid: string, options: RouteOptions): Promise<void> {
  const answer = await withControl(options, control => control.any(node => node.route(uid)))
  const { slot, slotEpoch, set, why, leader, online, epoch } = answer
  if (options.json) return printJson({ uid, slot, slotEpoch, set, why, leader, online, epoch })
  print(`${paint(uid, 'bold')} lives in set ${paint(set, 'bold')}: ${why}`)
  print(`slot ${slot} (slot epoch ${slotEpoch}, table epoch ${epoch}), leader ${leader || 'none'}`)
  if (online.length === 0) return print('offline')
  const rows = online.map(device => [
    device.deviceId,
    device.class,
    device.transfer,
    device.connId,
    new Date(device.sinceMs).toISOString()
  ])
  for (const line of tableLines(['device', 'class', 'transfer', 'connection', 'since'], rows))
    print(line)
}
