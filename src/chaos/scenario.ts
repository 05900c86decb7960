import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { RingsetError } from '../base/errors.ts'
import { moveSteps, stepVictims } from '../table/move-steps.ts'

/**
 * What is done to the processes that a target names · `kill`: SIGKILL, started again afterwards · `terminate`: SIGTERM, so that they hand
 * over first, then started again · `pause`: SIGSTOP, then SIGCONT · `wipe`: killed, their database deleted, started again ·
 * `bitRot`: killed, one bit of their newest log file turned, started again · `oldDirectory`: their folder is copied at the beginning,
 * and put back at the end, after a SIGKILL · `nearlyFullDisk`: started again as nodes whose disk is nearly full · `diskFull`, `syncError`:
 * their next write fails, which ends them; started again afterwards.
 */
const processActions = [
  'kill',
  'terminate',
  'pause',
  'wipe',
  'bitRot',
  'oldDirectory',
  'nearlyFullDisk',
  'diskFull',
  'syncError'
] as const
/** What nodes do to their disks and clocks while they run. */
const nodeActions = ['slowDisk', 'stuckDisk', 'clockOffset'] as const
/** What is done to the links between nodes, or between nodes and clients. */
const linkActions = ['cut', 'cutOneWay', 'flap', 'delay', 'loss', 'bandwidth'] as const
/** What an operator does. */
const operations = ['handOver', 'moveSlots', 'drain', 'roll', 'addSet', 'removeSet'] as const
/** Moves the slot of a user, and kills a leader when the move has come to a step. */
const stepAction = 'killAtStep'
/** Of the cluster as a whole. */
const targetless: readonly FaultAction[] = ['moveSlots', 'addSet', 'removeSet', stepAction]

export type ProcessAction = (typeof processActions)[number]
export type NodeAction = (typeof nodeActions)[number]
export type LinkAction = (typeof linkActions)[number]
export type Operation = (typeof operations)[number]
export type FaultAction = ProcessAction | NodeAction | LinkAction | Operation | typeof stepAction

export const isNodeAction = (action: FaultAction): action is NodeAction =>
  nodeActions.some(known => known === action)
export const isLinkAction = (action: FaultAction): action is LinkAction =>
  linkActions.some(known => known === action)
export const isOperation = (action: FaultAction): action is Operation =>
  operations.some(known => known === action)

const seconds = z.number().min(0.05).max(86_400)
const selection = z.string().min(1).max(80)
const share = z.number().min(0).max(1)

const fault = z
  .strictObject({
    do: z.enum([...processActions, ...nodeActions, ...linkActions, ...operations, stepAction]),
    /** See `parseTarget`; of links: those between it and all other nodes. */
    target: selection.optional(),
    /** Of links: between these … */
    from: selection.optional(),
    /** … and these. */
    to: selection.optional(),
    /** `delay`, and each write of `slowDisk`: so much later. */
    delayMs: z.number().int().min(1).max(10_000).default(50),
    /** And up to so much more. */
    jitterMs: z.number().int().min(0).max(10_000).default(10),
    /** `loss`: of the segments. */
    share: z.number().min(0.001).max(0.9).default(0.05),
    /** `bandwidth`. */
    bytesPerSecond: z.number().int().min(100).max(1e9).default(20_000),
    /** `clockOffset`: so far ahead; negative: behind. */
    offsetMs: z.number().int().min(-1e11).max(1e11).default(3_600_000),
    /** `flap`: so long cut, so long healed. */
    flapMs: z.number().int().min(10).max(60_000).default(500),
    /** `moveSlots`: so many, drawn, each to another set. */
    slots: z.number().int().min(1).max(1_024).default(8),
    /** `moveSlots`, `addSet`, `removeSet`: so many slots are on their way at any time. */
    atOnce: z.number().int().min(1).max(1_024).optional(),
    /** The same: so many of them set out in a second. */
    perSecond: z.number().min(0.01).max(10_000).optional(),
    /** `killAtStep`: as soon as this step is seen … */
    step: z.enum(moveSteps).optional(),
    /** … the leader of these. */
    victim: z.enum(stepVictims).optional(),
    at: z.number().min(0).max(86_400).optional(),
    every: seconds.optional(),
    /** How long until it is undone; for `kill` and its like, until the nodes are started again. */
    seconds: seconds.default(1),
    /** Waits until every other such fault is over and the cluster is whole again. */
    alone: z.boolean().default(false),
    /** Strokes of `every` at most. */
    times: z.number().int().min(1).max(10_000).optional()
  })
  .refine(({ at, every }) => at !== undefined || every !== undefined, {
    message: 'needs `at` (seconds from the end of the quiet ones) or `every` (seconds between two)'
  })
  .refine(one => targetless.includes(one.do) || isLinkAction(one.do) || one.target !== undefined, {
    message: 'needs a `target`'
  })
  .refine(one => !isLinkAction(one.do) || (one.target === undefined) !== (one.from === undefined), {
    message: 'needs a `target` (its links to all other nodes) or `from` (and `to`)'
  })
  .refine(one => one.do !== stepAction || (one.step !== undefined && one.victim !== undefined), {
    message: 'needs a `step` and a `victim`'
  })
  .refine(one => one.from !== undefined || one.to === undefined, { message: '`to` needs `from`' })
  .refine(one => isLinkAction(one.do) || one.from === undefined, {
    message: '`from` and `to` are for faults of links'
  })

const plainScenario = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,40}$/),
  proves: z.string().min(10).max(300),
  /** Of load; faults fall in it. */
  seconds: seconds.default(30),
  /** A suite that has to hurry shortens it no further: an operation takes the time that it takes. */
  leastSeconds: seconds.optional(),
  /** The load ends as soon as all faults are over, if that is earlier. */
  untilDone: z.boolean().default(false),
  /** A suite runs it only when it is named. */
  byNameOnly: z.boolean().default(false),
  sets: z.number().int().min(1).max(8).default(2),
  /**
   * `together`: gateways and logics on the nodes of routers · `apart`: logics as processes of their own · `split`: gateways, too, so that
   * routers are alone.
   */
  layout: z.enum(['together', 'apart', 'split']).default('together'),
  workload: z
    .strictObject({
      users: z.number().int().min(2).max(5_000).default(40),
      /** With some, each has a slot of its own, and users write to others of theirs only. */
      tenants: z.number().int().min(0).max(64).default(0),
      /** Share of users with a second device. */
      secondDevices: share.default(0.25),
      messagesPerSecond: z.number().min(1).max(20_000).default(100),
      /** Devices that go offline and come back, a second. */
      reconnectsPerSecond: z.number().min(0).max(1_000).default(0.5),
      /** Logic clients that append, read the latest msgid and draw sequence numbers. */
      backends: z.number().int().min(0).max(100).default(2),
      backendOperationsPerSecond: z.number().min(1).max(20_000).default(20)
    })
    .refine(({ users, tenants }) => users >= 2 * tenants, {
      message: 'needs two users for each tenant, or somebody has nobody to write to'
    })
    .prefault({}),
  faults: z.array(fault).max(100).default([]),
  expect: z
    .strictObject({
      /** From a fault to the next acknowledgement in each set that it touched, at the 99th percentile of the run. */
      firstAckMs: z.number().min(1).optional(),
      /** The same at the median. */
      firstAckMedianMs: z.number().min(1).optional(),
      /** Messages of sets that no fault touched: their p99 during faults, as a multiple of before, at most. */
      untouchedTimes: z.number().min(1).optional(),
      /** All messages: their p99 while faults are under way, as a multiple of before, at most. */
      duringTimes: z.number().min(1).optional(),
      /** From the first node that has a new routing table to the last, at most. */
      convergeMs: z.number().min(1).optional(),
      /** Resident memory in the end of the nodes that were there all the time, as a multiple of before the first fault, at most. */
      memoryTimes: z.number().min(1).optional(),
      /** Operations of the scenario that the cluster may refuse; unless given, all but one. */
      refusals: z.number().int().min(0).optional(),
      /** Operations of the scenario that succeed, at least. */
      operations: z.number().int().min(1).optional(),
      /** How long after a gateway's death anybody is still told that users are connected to it, at most. */
      wrongOnlineMs: z.number().min(1).optional(),
      /** From a fault until devices that lost their gateway by it are connected again, at the 99th percentile of the run. */
      usersBackMs: z.number().min(1).optional(),
      /** Slots that have come to another set, at least. */
      slotsMoved: z.number().int().min(1).optional(),
      /** For how long nobody serves a slot that moves, from the seal on, at the 99th percentile of the run. */
      sealedMs: z.number().min(1).optional(),
      /** Operations that end in an error at their caller, after all repetitions, at most. */
      errors: z.number().int().min(0).optional()
    })
    .prefault({})
})

const scenarioSchema = plainScenario.refine(
  scenario => firstFaultSeconds(scenario) < scenario.seconds,
  { path: ['seconds'], message: 'ends before the first fault' }
)

/** When the first fault comes, since the load began; 0 without faults. */
export function firstFaultSeconds({ faults }: Pick<Scenario, 'faults'>): number {
  return faults.length === 0 ? 0 : Math.min(...faults.map(({ at, every }) => at ?? every!))
}

export type Scenario = z.output<typeof plainScenario>
export type ScenarioFault = Scenario['faults'][number]

const maxFileBytes = 256 * 1024

/** Where the scenarios are that come with the program. */
function shippedFolder(): string {
  const candidates = ['../../cluster-configs/chaos', '../../../cluster-configs/chaos']
  for (const candidate of candidates) {
    const folder = fileURLToPath(new URL(candidate, import.meta.url))
    try {
      if (statSync(folder).isDirectory()) return folder
    } catch {
      // The other one: sources and the built program lie at different depths.
    }
  }
  throw new RingsetError('INTERNAL', 'the scenarios that come with the program are missing')
}

/** All scenarios that come with the program, by name. */
export function shippedScenarios(): Scenario[] {
  const folder = shippedFolder()
  const files = readdirSync(folder).filter(file => file.endsWith('.yaml'))
  return files.sort().map(file => loadScenario(join(folder, file)))
}

/** @param nameOrFile a shipped one's name, or a file of one's own. Throws CONFIG_INVALID. */
export function findScenario(nameOrFile: string): Scenario {
  if (/[/\\.]/.test(nameOrFile)) return loadScenario(nameOrFile)
  const known = shippedScenarios()
  const found = known.find(({ name }) => name === nameOrFile)
  if (found !== undefined) return found
  const names = known.map(({ name }) => name).join(', ')
  throw new RingsetError('USAGE', `no scenario is called ${nameOrFile}; there are ${names}`)
}

function loadScenario(file: string): Scenario {
  let text: string
  try {
    if (statSync(file).size > maxFileBytes) throw new Error(`is over ${maxFileBytes} bytes`)
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message
    throw new RingsetError('CONFIG_INVALID', `${file}: cannot be read (${reason})`, { file }, error)
  }
  return parseScenario(text, file)
}

/** @param file what messages name. Throws CONFIG_INVALID with file, line and rule of the first fault. */
export function parseScenario(text: string, file: string): Scenario {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const fail = (offset: number, why: string): never => {
    const { line, col } = lines.linePos(offset)
    throw new RingsetError('CONFIG_INVALID', `${file}:${line}:${col}: ${why}`, { file, line })
  }
  const broken = document.errors[0] ?? document.warnings[0]
  if (broken !== undefined) fail(broken.pos[0], broken.message.split('\n')[0]!)
  const parsed = scenarioSchema.safeParse(document.toJS({ maxAliasCount: 100 }))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  const node = nearestNode(document, issue.path)
  const field = issue.path.length === 0 ? basename(file) : issue.path.join('.')
  return fail(node, `${field}: ${issue.message}`)
}

function nearestNode(document: ReturnType<typeof parseDocument>, path: PropertyKey[]): number {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = document.getIn(path.slice(0, depth), true) as { range?: [number] } | undefined
    if (node?.range) return node.range[0]
  }
  return 0
}
