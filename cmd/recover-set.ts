import { RingsetError } from '../src/base/errors.ts'
import type { LogEnd, RecoveryPlan } from '../src/control/set-recovery.ts'
import type { PlannedMove } from '../src/control/slot-operator.ts'
import { leaveCluster, nodesToStop, type SetScene } from './leave-set.ts'
import type { JsonOptions } from './options.ts'
import { note, print, printJson, tableLines } from './terminal.ts'

export interface RecoverOptions extends JsonOptions {
  readonly from?: number
  readonly acceptLoss?: true
}

const folders = 'never start them again; their folders hold what others may miss'

/** Gives up a set that has lost its majority, and has the others take from one replica what it holds. Throws LOSS_NOT_ACCEPTED after it has said what that means, and as `planRecovery`. */
export async function recoverSet(
  scene: SetScene,
  id: string,
  options: RecoverOptions
): Promise<void> {
  const { from, acceptLoss, json } = options
  const { target, operator, patient, work } = scene
  const startMs = performance.now()
  const known = (await operator.table()).sets.some(set => set.id === id)
  const leftOver = target.local?.config.sets.some(set => set.id === id) ?? false
  if (!known && leftOver && acceptLoss) {
    const again = `ringset set recover ${id} --accept-loss`
    return leaveCluster(scene, id, { startMs, again, carried: undefined, folders }, options)
  }
  work.onWait?.(`asking the routers of ${id} what they have`)
  const plan = await operator.planRecovery(id, from)
  const { survivor, others } = plan
  if (!acceptLoss) {
    const nodes = nodesToStop(scene, id)
    scene.endProgress()
    if (json) printJson({ ...plan, nodes })
    else for (const line of recoveryLines(plan, nodes)) print(line)
    const text = `nothing has changed: set ${id} is given up only with --accept-loss`
    throw new RingsetError('LOSS_NOT_ACCEPTED', text, { set: id, from: survivor.replica })
  }
  note(`set ${id} is given up, and read from ${placeText(survivor)}, ${endsText(survivor)}`)
  const carried = await patient.recover(plan, work)
  const again = `ringset set recover ${id} --from ${survivor.replica} --accept-loss`
  const facts = { survivor, others }
  await leaveCluster(scene, id, { startMs, again, carried, facts, folders }, options)
}

/** What it would mean to give the set up, for people. @param nodes that would be stopped. */
export function recoveryLines(plan: RecoveryPlan, nodes: readonly string[]): string[] {
  const { set, lost, survivor, others, moves } = plan
  const ends = [survivor, ...others].sort((a, b) => a.replica - b.replica)
  const rows = ends.map(end => [
    end.replica,
    end.node,
    endsText(end),
    end === survivor ? 'is read' : ''
  ])
  const first = lost
    ? `set ${set} is given up already. With --accept-loss what is left of it goes to the other sets.`
    : `set ${set} has no leader and cannot have one. With --accept-loss it is given up for good, name and all.`
  return [
    first,
    '',
    ...tableLines(['replica', 'node', 'its log', ''], rows),
    '',
    `${moves.length} slots go to other sets, which read them from ${placeText(survivor)}: ${targetsText(moves)}`,
    ...(nodes.length === 0 ? [] : [`then these nodes stop: ${nodes.join(', ')}`]),
    '',
    'What may be lost:',
    ...lossTexts(plan).map(text => `- ${text}`)
  ]
}

function lossTexts({ survivor, others }: RecoveryPlan): string[] {
  const silent = others.filter(({ state }) => state === 'unreachable')
  const gone = [
    `Messages that were acknowledged, and that replica ${survivor.replica} does not have, are gone. What was acknowledged to its sender is not sent again.`,
    'A message whose acknowledgement never came is sent again, and may be seen twice.',
    'The numbers of messages in a conversation, and of other sequences, jump.'
  ]
  if (survivor.state === 'quarantined') {
    gone.push(
      `Replica ${survivor.replica} is in quarantine: nobody is left who could say whether it lacks something that it once had.`
    )
  }
  if (silent.length > 0) {
    const names = silent.map(placeText).join(', ')
    gone.push(
      `Whoever does not answer must never come back with the old data folder and serve clients that know only the old table: ${names}. Switch those machines off first.`
    )
  }
  return gone
}

/** All slots of a set go, so that only how many matters. */
function targetsText(moves: readonly PlannedMove[]): string {
  const counts = new Map<string, number>()
  for (const { to } of moves) counts.set(to, (counts.get(to) ?? 0) + 1)
  return [...counts].map(([to, count]) => `${count} to ${to}`).join(', ') || 'none'
}

const placeText = ({ replica, node }: LogEnd): string => `replica ${replica} on ${node}`

function endsText({ state, lastIndex, lastTerm }: LogEnd): string {
  if (state === 'unreachable') return 'cannot be reached'
  const ends = `ends at entry ${lastIndex} of term ${lastTerm}`
  return state === 'quarantined' ? `${ends}, in quarantine` : ends
}
