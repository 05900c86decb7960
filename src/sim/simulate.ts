import { crc32, crc32OfString } from '../base/crc32.ts'
import { RingsetError } from '../base/errors.ts'
import { type JudgeName, judge } from '../check/check.ts'
import type { HistoryLine } from '../check/history.ts'
import { parseSession, routingKey } from '../protocol/session.ts'
import { decodeMessage, getMessage } from '../router/timelines.ts'
import { readChunk } from '../storage/snapshot-chunk.ts'
import { SimFailure } from './invariants.ts'
import type { Mark } from './marks.ts'
import { isMember } from './member-watch.ts'
import { mutantNamed } from './mutants/registry.ts'
import { type DueFault, Nemesis } from './nemesis.ts'
import { presenceProblem } from './presence-check.ts'
import { slotsOnTheirWay } from './slot-operations.ts'
import type { Swarm } from './swarm.ts'
import { arbiterGroup } from './topology.ts'
import { Trace } from './trace.ts'
import { World } from './world.ts'

export interface SimOptions {
  readonly seed: number
  /** Virtual time under faults. */
  readonly faultMs: number
  /** Virtual time within which everything must have come right after the last fault. */
  readonly calmMs?: number
  /** Name of a rule to break on purpose, in the world where that hurts. */
  readonly mutant?: string | undefined
  /** Takes the place of what the seed would draw. */
  readonly swarm?: Partial<Swarm> | undefined
  /** Numbers of the only faults that happen; each stays what and when it is without the others. */
  readonly faults?: readonly number[] | undefined
  /** Is handed the world before its first event, to schedule what no seed draws; whatever it does must follow from the seed. */
  readonly script?: ((world: World) => void) | undefined
  /** Judges that stay away, where a script does what they do not know of. */
  readonly unjudged?: readonly JudgeName[] | undefined
  /** Gets the history at the end, as `ringset check` judges it. */
  readonly history?: ((lines: readonly HistoryLine[]) => void) | undefined
  /** Gets the story of the run, line by line. */
  readonly story?: ((line: string) => void) | undefined
}

export interface SimVerdict {
  readonly seed: number
  readonly ok: boolean
  /** Which rule was broken. */
  readonly check: string | undefined
  readonly text: string | undefined
  /** Over all events: equal for equal seeds. */
  readonly hash: string
  readonly events: number
  readonly virtualMs: number
  readonly acked: number
  readonly received: number
  readonly elections: number
  /** Those that happened. */
  readonly faults: readonly DueFault[]
  /** How often what happened: faults, state changes, warnings of roles. */
  readonly counts: Readonly<Record<string, number>>
  /** Rare situations that the run came into, and how often. */
  readonly marks: Readonly<Partial<Record<Mark, number>>>
}

const defaultCalmMs = 120_000
const pollMs = 100
/** A device or replica that is behind may go on for longer, as long as pages, or chunks of a snapshot, come one after the other … */
const pageMs = 5_000
/** … but not for ever. */
const patienceMs = 600_000
/** Rows wait half a second before they are handed to the disk; clocks may be slow. */
const heldRowsMs = 600
/** By when a slow disk has them. */
const writtenMs = 20_000
/** Presence is not recorded, ownership does not change. */
const notRecorded: readonly JudgeName[] = ['presence', 'ownership', 'epochs', 'terms', 'leaders']

/** Runs one seed to its end, or to the first broken rule. */
export function simulate(options: SimOptions): SimVerdict {
  const trace = new Trace(options.story)
  const run = new Run(options, trace)
  try {
    run.toTheEnd()
    return run.verdict(undefined)
  } catch (error) {
    return run.verdict(error)
  }
}

class Run {
  readonly #options: SimOptions
  readonly #trace: Trace
  #world: World | undefined
  #nemesis: Nemesis | undefined

  constructor(options: SimOptions, trace: Trace) {
    this.#options = options
    this.#trace = trace
  }

  toTheEnd(): void {
    const { seed, mutant, swarm, faultMs, calmMs = defaultCalmMs } = this.#options
    const broken = mutant === undefined ? undefined : mutantNamed(mutant)
    const world = new World(seed, this.#trace, broken, swarm)
    this.#world = world
    this.#options.script?.(world)
    const nemesis = new Nemesis(world, this.#options.faults)
    this.#nemesis = nemesis
    world.kernel.runUntil(faultMs)
    nemesis.stop()
    for (const device of world.devices) device.sending = false
    for (const backend of world.backends) backend.working = false
    this.#untilCalm(world, faultMs + calmMs)
    this.#untilWritten(world, faultMs + calmMs + writtenMs)
    this.#compareReplicas(world)
    this.#compareCopies(world)
    this.#judge(world)
  }

  #untilCalm(world: World, byMs: number): void {
    const { kernel } = world
    for (;;) {
      const missing = this.#missing(world)
      const misplaced = missing ?? presenceProblem(world)
      if (misplaced === undefined) return
      if (kernel.nowMs() >= byMs && !this.#catchesUp(world, byMs)) {
        throw new SimFailure(missing === undefined ? 'presence' : 'liveness', misplaced)
      }
      kernel.runUntil(kernel.nowMs() + pollMs)
    }
  }

  /** What has not come right yet. */
  #missing(world: World): string | undefined {
    for (const device of world.devices) {
      if (device.unfinished > 0) return `${device.unfinished} sends of ${device.name} have no end`
      if (device.state !== 'connected') return `${device.name} is ${device.state}`
      for (const session of world.sessions) {
        if (!world.members(session).includes(device.uid)) continue
        const held = device.held.get(session) ?? 0
        const latest = world.latestOf(session)
        if (held < latest) return `${device.name} holds ${held} of ${latest} of ${session}`
      }
    }
    if (world.backends.some(backend => backend.busy)) return 'a backend waits for an answer'
    return slotsOnTheirWay(world) ?? this.#unequal(world)
  }

  /** Sends have ended, so this ends too: a world of tiny pages and long ways needs a while for what piled up. */
  #catchesUp(world: World, byMs: number): boolean {
    const sinceMs = world.kernel.nowMs() - pageMs
    if (sinceMs > byMs + patienceMs) return false
    return (
      world.replicaWatch.installsSince(sinceMs) ||
      world.devices.some(({ unfinished, receivedMs }) => unfinished === 0 && receivedMs > sinceMs)
    )
  }

  #unequal(world: World): string | undefined {
    const living = world.nodes.filter(({ retired }) => !retired)
    const epoch = living[0]!.keeper.view().epoch
    const lagging = living.find(({ keeper }) => keeper.view().epoch !== epoch)
    if (lagging !== undefined) return `${lagging.nodeId} has another table`
    for (const group of groupsOf(world)) {
      const [leader] = world.leadersOf(group)
      if (leader === undefined) return `${group} has no leader`
      const { membership, changing, applied } = leader.api.status()
      if (changing) return `${group} is between two memberships`
      for (const { nodeId, replicas } of living) {
        for (const { group: own, replicaId, api } of replicas) {
          if (own !== group || !isMember(membership, replicaId)) continue
          const status = api.status()
          if (status.quarantined) return `${nodeId} is in quarantine`
          if (status.applied !== applied) return `${group} is not level`
        }
      }
    }
    return undefined
  }

  /** Rows wait a moment before they are handed to the disk. What comes late, such as a leader that finds itself alone, has to calm down again. */
  #untilWritten(world: World, byMs: number): void {
    const { kernel } = world
    let before: string
    do {
      before = this.#written(world)
      kernel.runUntil(kernel.nowMs() + heldRowsMs)
      this.#untilCalm(world, byMs)
    } while (before !== this.#written(world) && kernel.nowMs() < byMs)
  }

  /** All rows, as a snapshot would send them. */
  #compareReplicas(world: World): void {
    const sums = new Map<string, { sum: number; nodeId: string; index: number }>()
    const groups = groupsOf(world)
    for (const { nodeId, replicas, disk } of world.nodes) {
      for (const { group, replicaId } of replicas) {
        if (!groups.includes(group)) continue
        if (!isMember(world.leadersOf(group)[0]!.api.status().membership, replicaId)) continue
        let sum = 0
        const source = disk.group(group).openSnapshot()
        source.next(Number.MAX_SAFE_INTEGER, ({ data }) => {
          sum = sumOfRows(data)
        })
        disk.completeAll()
        const known = sums.get(group)
        const { index } = source.meta
        if (known === undefined || known.index !== index) sums.set(group, { sum, nodeId, index })
        else if (known.sum !== sum) {
          throw new SimFailure('rows', `${nodeId} and ${known.nodeId} differ at ${group} ${index}`)
        }
      }
    }
  }

  /** How far each disk is. Messages reach it ahead of the index that they belong to, so rows are compared only when nothing comes any more. */
  #written({ nodes, topology }: World): string {
    return nodes
      .flatMap(({ disk }) => topology.groups.map(group => disk.durable(group)?.applied ?? 0))
      .join(' ')
  }

  /** Every acknowledged message is in the copy of every member's set. */
  #compareCopies(world: World): void {
    const view = world.nodes.find(({ retired }) => !retired)!.keeper.view()
    for (const [key, message] of world.acks) {
      const at = key.lastIndexOf(' ')
      const session = key.slice(0, at)
      const msgid = Number(key.slice(at + 1))
      const slot = view.slotOf(routingKey(session, parseSession(session)))
      const sets = new Set(world.members(session).map(uid => view.owner(view.slotOf(uid))!.setId))
      for (const setId of world.topology.setIds) {
        if (!sets.has(setId)) continue
        const leader = world.leadersOf(setId)[0]!
        const row = getMessage({ get: name => leader.api.getRow(name) }, slot, session, msgid)
        const body = row === undefined ? 'nothing' : decodeMessage(row).body.toString()
        if (body !== String(message)) {
          throw new SimFailure('copies', `${setId} holds ${body} at ${key} in place of ${message}`)
        }
      }
    }
  }

  #judge(world: World): void {
    const { unjudged = [] } = this.#options
    const silent = world.backends.length > 0 ? [] : ['sequences' as const]
    const without = [...notRecorded, ...silent, ...unjudged]
    const { lines } = world.history
    const quick = judge(lines, { without, stepsPerKey: 200_000 })
    // What a short search leaves open a longer one settles, and if not, nobody may take it for proved.
    const { checks } = quick.verdict === 'unknown' ? judge(lines, { without }) : quick
    for (const ok of [false, 'unknown'] as const) {
      const bad = checks.find(check => check.ok === ok)
      if (bad === undefined) continue
      throw new SimFailure(bad.name, `${bad.detail}: ${bad.examples.join(' / ')}`)
    }
  }

  verdict(error: unknown): SimVerdict {
    const world = this.#world
    const failure =
      error === undefined || error instanceof SimFailure
        ? error
        : new SimFailure(error instanceof RingsetError ? error.code : 'throw', textOf(error))
    if (world !== undefined) this.#options.history?.(world.history.lines)
    return {
      seed: this.#options.seed,
      ok: failure === undefined,
      check: failure?.check,
      text: failure?.message,
      hash: this.#trace.hash,
      events: world?.kernel.eventCount ?? 0,
      virtualMs: world?.kernel.nowMs() ?? 0,
      acked: world?.acks.size ?? 0,
      received: world?.history.lines.filter(({ f }) => f === 'receive').length ?? 0,
      elections: world?.invariants.elections ?? 0,
      faults: this.#nemesis?.done ?? [],
      counts: Object.fromEntries([...(world?.counts ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))),
      marks: world?.marks.counts ?? {}
    }
  }
}

/** Those that the table lists, and the arbiters. */
function groupsOf({ nodes, topology }: World): string[] {
  const { table } = nodes.find(({ retired }) => !retired)!.keeper.view()
  const listed = table?.sets.map(({ id }) => id) ?? []
  return topology.groups.filter(group => group === arbiterGroup || listed.includes(group))
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const facts = error instanceof RingsetError ? ` ${JSON.stringify(error.facts)}` : ''
  const at = (error.stack ?? '').split('\n').slice(1, 5).join('\n')
  return `${error.message}${facts}\n${at}`
}

/** A checksum of a snapshot's rows, whatever their order. */
function sumOfRows(data: Buffer): number {
  let sum = 0
  for (const [key, value] of readChunk(data)) sum = (sum + crc32(value, crc32OfString(key))) | 0
  return sum
}
