import type { Command } from 'commander'
import type { RouteAnswer } from '../../src/control/control-source.ts'
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
  if (options.json) printJson(answer)
  else describe(answer)
}

function describe(answer: RouteAnswer): void {
  const { uid, slot, slotCount, slotEpoch, set, why, leader, online, epoch } = answer
  print(`${paint(uid, 'bold')} lives in set ${paint(set, 'bold')}: ${why}`)
  print(
    `slot ${slot} of ${slotCount} (slot epoch ${slotEpoch}, table epoch ${epoch}), leader ${leader || 'not known yet'}`
  )
  print(servedText(answer))
  const rows = online.map(device => [
    device.deviceId,
    device.class,
    device.transfer,
    device.connId,
    new Date(device.sinceMs).toISOString()
  ])
  const head = ['device', 'class', 'transfer', 'connection', 'since']
  for (const line of rows.length === 0 ? ['offline'] : tableLines(head, rows)) print(line)
}

function servedText({ version, rule, logics, asRuled }: RouteAnswer): string {
  const names = logics.map(logic => `${logic.id} (${logic.version})`).join(', ')
  const served = `logics: ${names || 'none is up'}`
  if (version !== '') {
    const missing = asRuled ? '' : ', of which no logic is up'
    return `${served}; a rule sends ${rule} to ${version}${missing}`
  }
  return asRuled ? served : `${served}; only logics that rules keep for others are up`
}
