import { type Command, InvalidArgumentError } from 'commander'
import { RingsetError } from '../../src/base/errors.ts'
import { dataFolder } from '../../src/config/data-folder.ts'
import { SetOperator } from '../../src/control/set-operator.ts'
import type { MovePace, PlannedMove } from '../../src/control/slot-operator.ts'
import {
  chooseSetId,
  chosenSetId,
  enlistSet,
  newSetOf,
  placeSet,
  startSet
} from '../../src/launch/set-change.ts'
import { freeSetId, newSetLayout, type SetLayout } from '../../src/launch/set-layout.ts'
import { exitCodes } from '../failure.ts'
import {
  leaveCluster,
  movedText,
  nodesToStop,
  type SetScene,
  sayWhatIsLeft,
  secondsSince
} from '../leave-set.ts'
import {
  type JsonOptions,
  wholeNumber,
  withData,
  withExample,
  withJson,
  withPace
} from '../options.ts'
import { planLines, progressText } from '../plan-lines.ts'
import { ProgressLine } from '../progress-line.ts'
import { type RecoverOptions, recoverSet } from '../recover-set.ts'
import { type SetTargetOptions, withSetTarget } from '../set-target.ts'
import { StopSignals } from '../stop-signals.ts'
import { clean, print, printJson } from '../terminal.ts'

interface SetOptions extends SetTargetOptions, JsonOptions, MovePace {
  readonly dryRun?: true
}
interface AddOptions extends SetOptions {
  readonly weight?: number
  /** False with `--no-rebalance`. */
  readonly rebalance?: boolean
}

const patienceMs = 60_000

export function configureSet(command: Command): void {
  withExample(command, 'ringset set add', 'ringset set remove s3 --dry-run')
  const add = command
    .command('add')
    .argument('[id]', 'name of the set (default: the next number)', newSetId)
    .description('add a set and give it its share of the slots, while users go on')
    .option('--weight <n>', 'share of the slots, 1 is an ordinary set (default: 1)', setWeight)
    .option('--no-rebalance', 'leave the slots where they are')
  withPace(add)
  withDryRun(add)
  finish(add, 'ringset set add', 'ringset set add s3 --weight 2 --dry-run')
  add.action((id: string | undefined, options: AddOptions) =>
    run(options, scene => addSet(scene, id, options))
  )
  const remove = command
    .command('remove')
    .argument('<id>', 'name of the set', setId)
    .description('give the slots of a set to the others, then take it out for ever')
  withPace(remove)
  withDryRun(remove)
  finish(remove, 'ringset set remove s3 --dry-run', 'ringset set remove s3')
  remove.action((id: string, options: SetOptions) =>
    run(options, scene => removeSet(scene, id, options))
  )
  const recover = command
    .command('recover')
    .argument('<id>', 'name of the set', setId)
    .description('give up a set that has lost its majority for good, and save what one replica has')
    .option(
      '--from <replica>',
      'number of the replica to read (default: the one that has most)',
      wholeNumber(1, 255)
    )
    .option('--accept-loss', 'do it; without this it only prints what may be lost, and fails')
  withPace(recover)
  finish(recover, 'ringset set recover s2', 'ringset set recover s2 --from 3 --accept-loss')
  recover.action((id: string, options: RecoverOptions & SetTargetOptions & MovePace) =>
    run(options, scene => recoverSet(scene, id, options))
  )
}

function withDryRun(command: Command): void {
  command.option('--dry-run', 'only print what would happen')
}

function finish(command: Command, ...examples: readonly string[]): void {
  command
    .option('-c, --config <file>', 'configuration of a cluster that `up` did not start')
    .option('--credential <file>', 'credential file for -c (default: the one in --data)')
  withExample(withJson(withData(command)), ...examples)
}

async function run(
  options: SetTargetOptions & MovePace,
  change: (scene: SetScene) => Promise<void>
): Promise<void> {
  const signals = new StopSignals()
  signals.hurry.addEventListener('abort', () => process.exit(exitCodes.refused))
  const line = new ProgressLine('Ctrl-C stops here; the same command goes on')
  try {
    await withSetTarget(options, async target => {
      const operator = new SetOperator(target.control)
      const patient = new SetOperator(target.control, patienceMs)
      const work = {
        atOnce: options.atOnce,
        perSecond: options.perSecond,
        signal: signals.stop,
        onMoves: (progress: Parameters<typeof progressText>[0]) =>
          line.show(progressText(progress)),
        onWait: (text: string) => line.show(clean(text))
      }
      await change({ target, operator, patient, work, endProgress: () => line.end() })
    })
  } finally {
    line.end()
    signals.release()
  }
}

async function addSet(
  scene: SetScene,
  asked: string | undefined,
  options: AddOptions
): Promise<void> {
  const paced = options.atOnce ?? options.perSecond
  if (options.rebalance === false && paced !== undefined) {
    const text = 'with --no-rebalance no slot moves: leave --at-once and --per-second away'
    throw new RingsetError('USAGE', text)
  }
  const { target, operator, patient, work } = scene
  const startMs = performance.now()
  const folder = dataFolder(options.data)
  const { id, layout } = await planned(scene, asked, options)
  const set = layout === undefined ? newSetOf(target.config(), id) : asNewSet(layout)
  const table = await operator.table()
  const listed = table.sets.find(known => known.id === id)
  if (listed?.state === 'lost') {
    throw new RingsetError('SET_LOST', `set ${id} is given up`, { set: id })
  }
  const weight = listed?.weight ?? set.weight
  if (options.weight !== undefined && options.weight !== weight) {
    throw new RingsetError('USAGE', `set ${id} has the weight ${weight} already`)
  }
  if (options.dryRun) {
    const moves = options.rebalance === false ? [] : await operator.planFill(id, set)
    showAddPlan({ id, weight, layout, moves }, options)
    return
  }
  if (target.local !== undefined) {
    if (asked === undefined) chooseSetId(folder, id)
    if (layout !== undefined) await placeSet(target.local, layout)
    work.onWait?.(`starting the nodes of ${id}`)
    await startSet(target.local, id)
  }
  const serve = { signal: work.signal, onWait: work.onWait }
  await enlistSet(target.control, target.config(), id, { ...serve, operator: patient })
  const carried =
    options.rebalance === false ? { moved: 0, total: 0, aborted: [] } : await patient.fill(id, work)
  const report = { set: id, ...carried, seconds: secondsSince(startMs) }
  const through = carried.moved === carried.total && !work.signal.aborted
  if (through && target.local !== undefined) chooseSetId(folder, undefined)
  scene.endProgress()
  if (options.json) printJson(report)
  else print(`set ${id} serves, ${movedText(report)}`)
  sayWhatIsLeft(report, work.signal, `ringset set add ${id}`)
}

/** The name of the set and, when it is nowhere yet, what is to be started for it. */
async function planned(
  { target, operator }: SetScene,
  named: string | undefined,
  { weight = 1, data }: AddOptions
): Promise<{ id: string; layout: SetLayout | undefined }> {
  const config = target.config()
  const folder = dataFolder(data)
  const asked = named ?? (target.local === undefined ? undefined : chosenSetId(folder))
  const table = await operator.table()
  const listed = table.sets.map(({ id }) => id)
  if (asked !== undefined && listed.includes(asked)) return { id: asked, layout: undefined }
  // One that is written down and not listed yet: somebody was interrupted, or has prepared it.
  const prepared = config.sets.map(({ id }) => id).filter(id => !listed.includes(id))
  const id = asked ?? prepared[0] ?? freeSetId(config, listed, folder)
  await operator.mustBeFree(id)
  if (prepared.includes(id)) return { id, layout: undefined }
  if (target.local !== undefined) {
    return { id, layout: await newSetLayout(id, weight, config, folder) }
  }
  const text = `the configuration has no set ${id}: write it and its nodes into the file first`
  throw new RingsetError('SET_UNKNOWN', text, { set: id })
}

function asNewSet({ set, nodes }: SetLayout) {
  const routers = nodes.flatMap(({ id: node, peerPort, roles }) =>
    roles.flatMap(role =>
      role.role === 'router'
        ? [{ replica: role.replica, node, address: `127.0.0.1:${peerPort}` }]
        : []
    )
  )
  return { id: set.id, zone: 'default', weight: set.weight ?? 1, routers }
}

async function removeSet(scene: SetScene, id: string, options: SetOptions): Promise<void> {
  const { target, operator, patient, work } = scene
  const startMs = performance.now()
  const known = (await operator.table()).sets.some(set => set.id === id)
  const leftOver = target.local?.config.sets.some(set => set.id === id) ?? false
  const moves = known || !leftOver ? await operator.planDrain(id) : []
  if (options.dryRun) {
    showRemovePlan({ id, moves, nodes: nodesToStop(scene, id) }, options)
    return
  }
  const carried = known ? await patient.drain(id, work) : undefined
  const again = `ringset set remove ${id}`
  const folders = 'their folders are no longer needed'
  await leaveCluster(scene, id, { startMs, again, carried, folders }, options)
}

interface AddPlan {
  readonly id: string
  readonly weight: number
  readonly layout: SetLayout | undefined
  readonly moves: readonly PlannedMove[]
}

function showAddPlan({ id, weight, layout, moves }: AddPlan, { json }: JsonOptions): void {
  if (json) {
    printJson({ set: id, weight, nodes: layout?.nodes ?? [], moves })
    return
  }
  print(`set ${id}, weight ${weight}`)
  for (const { id: node, zone, peerPort, controlPort, roles } of layout?.nodes ?? []) {
    const texts = roles.map(role => {
      if (role.role === 'router') return `router ${role.replica}`
      if (role.role === 'transfer') return `transfer ${role.id} on ${role.tcpPort}`
      return role.role === 'logic' ? `logic ${role.id}` : role.role
    })
    const where = zone === undefined ? '' : ` in zone ${zone}`
    print(`node ${node}${where} on ${peerPort} and ${controlPort}: ${texts.join(', ')}`)
  }
  for (const line of planLines(moves)) print(line)
}

interface RemovePlan {
  readonly id: string
  readonly moves: readonly PlannedMove[]
  readonly nodes: readonly string[]
}

function showRemovePlan({ id, moves, nodes }: RemovePlan, { json }: JsonOptions): void {
  if (json) {
    printJson({ set: id, nodes, moves })
    return
  }
  for (const line of planLines(moves)) print(line)
  if (nodes.length > 0)
    print(`then set ${id} is removed, and these nodes stop: ${nodes.join(', ')}`)
}

function setId(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text
  throw new InvalidArgumentError(
    'It must be 1 to 64 of A-Z a-z 0-9 . _ -, a letter or digit first.'
  )
}

/** Its nodes are called after it. */
function newSetId(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,59}$/.test(text)) return text
  throw new InvalidArgumentError('It must be 1 to 60 of A-Z a-z 0-9 _ -, a letter or digit first.')
}

function setWeight(text: string): number {
  const weight = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN
  if (weight >= 1 && weight <= 100) return weight
  throw new InvalidArgumentError('It must be a whole number from 1 to 100.')
}
