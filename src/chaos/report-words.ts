import type { ChaosReport } from './report.ts'
import { counted, duration } from './report-html.ts'
import type { FaultAction } from './scenario.ts'

const done: Readonly<Record<FaultAction, string>> = {
  kill: 'killed',
  terminate: 'told to end',
  pause: 'frozen',
  wipe: 'killed, its database deleted',
  bitRot: 'killed, a bit on its disk turned',
  oldDirectory: 'killed, an old data folder put back',
  nearlyFullDisk: 'restarted on a nearly full disk',
  diskFull: 'disk full',
  syncError: 'disk refuses to sync',
  slowDisk: 'disk slow',
  stuckDisk: 'disk stuck',
  clockOffset: 'clock set wrong',
  cut: 'cut off',
  cutOneWay: 'cut off in one direction',
  flap: 'link flapping',
  delay: 'link delayed',
  loss: 'link loses packets',
  bandwidth: 'link throttled',
  handOver: 'hands leadership over',
  moveSlots: 'slots move',
  drain: 'drained',
  roll: 'rolled',
  addSet: 'a set is added',
  removeSet: 'a set is removed',
  killAtStep: 'killed at a step of a move'
}

/** What each check demands, for who has not read the manual. */
export const meanings: Readonly<Record<string, string>> = {
  loss: 'Every acknowledged message reached every device it was for.',
  duplicates: 'No device got a message twice.',
  order: 'Every device got the messages of a conversation in the order of their numbers.',
  contiguity: 'No device has a gap in a conversation.',
  reassigned: 'One number stands for one message, everywhere and for ever.',
  phantoms: 'Nothing arrived that nobody had sent.',
  'session-log': 'All answers about a conversation fit one order of events.',
  presence: 'All answers about where users are connected fit one order of events.',
  sequences: 'Numbers handed out never overlap and never go back.',
  ownership: 'Each slot was served by one set at a time.',
  epochs: 'No process went back to an older routing table.',
  terms: 'No process went back to an older term.',
  leaders: 'No term of a group had two leaders.',
  'carried-out':
    'Every fault was done and undone as it was to be, and the cluster was whole again in the end.',
  settled: 'Within a minute of the last fault every device and every replica had everything.',
  serving: 'Once everything was mended, every message was acknowledged.',
  faults: 'Each line of the scenario really did something.',
  operations: 'What operators asked for was done.',
  errors: 'Few enough callers were told that something went wrong.',
  'fail-stop': 'Processes whose disk failed stopped rather than lie.',
  moves: 'So many slots moved as were to.',
  sealed: 'Slots that moved were without a server for a short time only.',
  'first-ack': 'After a fault messages were soon acknowledged again (99th percentile).',
  'first-ack-median': 'After a fault messages were soon acknowledged again (median).',
  'users-back': 'Users who lost their gateway soon had another (99th percentile).',
  'wrong-online': 'Gateways that died were soon known to be gone.',
  untouched: 'Sets that no fault touched were as fast as before.',
  during: 'Messages did not take much longer than before.',
  converged: 'Every new routing table was soon known to all nodes.',
  memory: 'The nodes did not grow.'
}

/** What happened to whom: `s1-a killed`. */
export function faultText({ action, nodes }: ChaosReport['faults'][number]): string {
  const words = (done as Readonly<Record<string, string>>)[action] ?? action
  return [nodes.join(', '), words].filter(word => word !== '').join(' ')
}

/** The verdict in one sentence. */
export function verdictText({ verdict, checks, messages, faults }: ChaosReport): string {
  const { acked, lost, duplicated } = messages
  if (verdict === 'pass') {
    const under = faults.length === 0 ? '' : ` under ${counted(faults.length, 'fault')}`
    return `All ${counted(checks.length, 'check')} hold${under}: every one of ${counted(acked, 'acknowledged message')} arrived, once and in order.`
  }
  const notHeld = checks.filter(({ ok }) => ok === false).map(({ name }) => name)
  const open = checks.filter(({ ok }) => ok === 'unknown').map(({ name }) => name)
  if (notHeld.length > 0) {
    const harm = [
      ...(lost > 0 ? [`${counted(lost, 'delivery', 'deliveries')} lost`] : []),
      ...(duplicated > 0 ? [`${counted(duplicated, 'duplicate')}`] : [])
    ]
    const what = harm.length === 0 ? '' : ` (${harm.join(', ')})`
    return `${counted(notHeld.length, 'check')} of ${checks.length} failed: ${notHeld.join(', ')}${what}.`
  }
  return `Nothing was found wrong, but ${open.length} of ${counted(checks.length, 'check')} could not be decided: ${open.join(', ')}.`
}

/** The longest time after a fault that a set acknowledged nothing new; undefined when no fault touched one. */
export function worstOutageText({ recoveries, faults }: ChaosReport): string | undefined {
  const longest = [...recoveries].sort(
    (a, b) => (b.firstAckMs ?? Infinity) - (a.firstAckMs ?? Infinity)
  )[0]
  if (longest === undefined) return undefined
  const fault = faults[longest.fault]!
  const when = `${faultText(fault)} at ${fault.from.toFixed(1)} s`
  if (longest.firstAckMs === null) {
    return `Longest wait: conversations of ${longest.set} were not acknowledged again after ${when}.`
  }
  return `Longest wait: conversations of ${longest.set}, ${duration(longest.firstAckMs)} until the next acknowledgement after ${when}.`
}
