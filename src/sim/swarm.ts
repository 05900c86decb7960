import type { Random } from '../base/ports.ts'
import { Prng } from '../base/prng.ts'
import type { StepKill } from './step-killer.ts'
import type { ClusterShape } from './topology.ts'

/**
 * `crash`: a process dies and its peers are told · `powerLoss`: its machine falls silent · `setLoss`, `arbiterLoss`: all
 * processes of a group at once, while a write is on its way · `storm`: the processes of a group die and come back at once, over
 * and over · `pause`: as SIGSTOP · `restart`: in order, handing over first · `cut`, `cutOneWay`: between two
 * processes · `isolate`: one from all · `split`: any two camps · `reset`: a connection and what was under way on it ·
 * `slowDisk`, `slowNode`: for a while · `stuckDisk`: no write ends for a while · `fullDisk`: whoever writes dies, for a while · `syncError`: the
 * next write fails, and what of it is on the disk nobody knows · `logDamage`: a router's log ends early · `wipe`: a router's database is gone · `newDisk`: all that it had is gone, and nothing on its machine tells · `clientReset`, `clientMute`, `clientRestart`: a
 * device's connection, its network, its application · `wallJump`: a clock is set.
 */
export const faultKinds = [
  'crash',
  'powerLoss',
  'setLoss',
  'arbiterLoss',
  'storm',
  'pause',
  'restart',
  'cut',
  'cutOneWay',
  'isolate',
  'split',
  'reset',
  'slowDisk',
  'slowNode',
  'stuckDisk',
  'fullDisk',
  'syncError',
  'logDamage',
  'wipe',
  'newDisk',
  'clientReset',
  'clientMute',
  'clientRestart',
  'wallJump'
] as const

/**
 * `changeMembers`: an operator promotes, demotes, swaps or removes replicas of a group · `handOver`: and lets another one lead ·
 * `crashInstall`: a router's database is gone, and the process dies once more while it receives a snapshot.
 */
const operationKinds = [
  'changeMembers',
  'handOver',
  'crashInstall',
  'moveSlots',
  'abortMove'
] as const

/**
 * `herd`: all devices lose their connection at once · `burst`: somebody sends dozens of messages into one session in one moment ·
 * `drain`: a gateway sends its users to the others for a while · `oldDisk`: a process comes back with a copy of its data that was
 * made before.
 */
const pressureKinds = ['herd', 'burst', 'drain', 'oldDisk'] as const
/** `slowLink`: what two processes send each other takes far longer · `slowReader`: a device takes packets in slowly. */
const slowKinds = ['slowLink', 'slowReader'] as const
/** `lateRepeat`: a device sends what was acknowledged long ago · `takeTurns`: leaders of a group are cut off with a minority, one after the other. */
const lateKinds = ['lateRepeat', 'takeTurns'] as const
/** Adds the spare set, moves slots there and back, and removes it. */
const setsKind = 'changeSets'
/** Adds router replicas that were never there, gives them votes, and takes others out for them. */
const newcomersKind = 'addReplica'
export type FaultKind =
  | (typeof faultKinds)[number]
  | (typeof operationKinds)[number]
  | (typeof pressureKinds)[number]
  | (typeof slowKinds)[number]
  | (typeof lateKinds)[number]
  | typeof setsKind
  | typeof newcomersKind

/** What one seed's world is like: drawn at random, so that each seed stresses something else. */
export interface Swarm extends ClusterShape {
  readonly tickMs: number
  readonly users: number
  /** Share of users with a second device. */
  readonly secondDevices: number
  /** Mean pause between two sends of a device. */
  readonly sendEveryMs: number
  readonly backends: number
  readonly latencyMinMs: number
  readonly latencyMeanMs: number
  readonly clientLatencyMs: number
  readonly diskMinMs: number
  readonly diskMeanMs: number
  /** Share of disk batches that take `diskSpikeMs`. */
  readonly diskSpikes: number
  readonly diskSpikeMs: number
  /** A turn of the event loop: what arrives within it is dealt with together. */
  readonly turnMs: number
  readonly trailingEntries: number
  readonly snapshotChunkBytes: number
  readonly heartbeatMaxMs: number
  readonly transferLeaseMs: number
  /** Batches, windows, pages and caches of the routers hold next to nothing. */
  readonly tiny: boolean
  /** Clocks run fast or slow by up to this share. */
  readonly drift: number
  /** Packets between processes pass the frame codec. */
  readonly wire: boolean
  readonly carry: 'stamp' | 'always'
  /** Share of Raft messages that come once more, late. */
  readonly repeats: number
  /** Of each group a minority that dies when the faults end never comes back. */
  readonly lasting: boolean
  /** What is urgent does not wait behind the rest of a link, as in the real one while its socket is full. */
  readonly lanes: boolean
  /** Half of the processes are of another version: no pre-vote, the table in every packet, and now and then a kind of packet that nobody knows. */
  readonly mixed: boolean
  /** A share of the users belongs to a tenant with slots of its own. */
  readonly tenants: boolean
  /** Never drawn: a leader dies whenever a slot has taken this step of its way. */
  readonly stepKill?: StepKill
  /** Faults that happen in this seed, and the mean time between two of a kind. */
  readonly faults: readonly { readonly kind: FaultKind; readonly everyMs: number }[]
}

/** The cluster of cluster-configs/local.yaml. */
export const defaultShape: ClusterShape & Pick<Swarm, 'tickMs'> = {
  sets: 2,
  routers: 3,
  arbiters: 3,
  tickMs: 20
}

export function drawSwarm(seed: number): Swarm {
  const random = new Prng(seed, 'swarm')
  const chosen = shuffled(faultKinds, random).slice(0, 2 + random.below(7))
  const shape = new Prng(seed, 'shape')
  const operations = new Prng(seed, 'operations')
  const operated = operationKinds.filter(() => operations.below(5) < 2)
  const pressure = new Prng(seed, 'pressure')
  const slow = new Prng(seed, 'slow')
  const slowed = slowKinds.filter(() => slow.below(4) === 0)
  const sets = new Prng(seed, 'sets')
  const spare = sets.below(4) === 0
  const replicas = new Prng(seed, 'newcomers')
  const newcomers = pick(replicas, [0, 0, 0, 1, 2])
  const late = new Prng(seed, 'late')
  const belated = lateKinds.filter(() => late.below(5) === 0)
  const pressed = pressureKinds.filter(() => pressure.below(4) === 0)
  return {
    sets: pick(shape, [1, 1, 1, 2, 2, 3]),
    routers: pick(shape, [3, 3, 3, 3, 3, 5]),
    arbiters: pick(shape, [1, 3]),
    tickMs: pick(shape, [20, 50]),
    users: 4 + random.below(10),
    secondDevices: pick(random, [0, 0.3, 1]),
    sendEveryMs: pick(random, [100, 400, 1_500]),
    backends: random.below(6),
    latencyMinMs: pick(random, [0.05, 0.2, 2]),
    latencyMeanMs: pick(random, [0.1, 1, 8]),
    clientLatencyMs: pick(random, [1, 20, 120]),
    diskMinMs: pick(random, [0.1, 0.5, 4]),
    diskMeanMs: pick(random, [0.2, 1, 8, 30]),
    diskSpikes: pick(random, [0, 0.001, 0.01]),
    diskSpikeMs: pick(random, [50, 300, 1_500]),
    turnMs: pick(random, [0.01, 0.1, 1]),
    trailingEntries: pick(random, [8, 60, 1_000, 10_000]),
    heartbeatMaxMs: pick(random, [2_000, 5_000, 10_000]),
    snapshotChunkBytes: pick(operations, [256, 256, 2_048, 128 * 1024]),
    transferLeaseMs: pick(random, [1_300, 2_000, 4_000, 10_000]),
    tiny: random.below(3) === 0,
    drift: pick(random, [0, 0.001, 0.02]),
    wire: random.below(4) === 0,
    carry: random.below(6) === 0 ? 'always' : 'stamp',
    faults: [
      ...chosen.map(kind => ({ kind, everyMs: pick(random, [600, 2_000, 6_000]) })),
      ...operated.map(kind => ({ kind, everyMs: pick(operations, [200, 600, 2_000]) })),
      ...pressed.map(kind => ({ kind, everyMs: pick(pressure, [500, 1_500, 4_000]) })),
      ...slowed.map(kind => ({ kind, everyMs: pick(slow, [300, 1_000, 3_000]) })),
      ...belated.map(kind => ({ kind, everyMs: pick(late, [300, 1_000, 3_000]) })),
      ...(spare ? [{ kind: setsKind, everyMs: pick(sets, [100, 300, 1_000]) } as const] : []),
      ...(newcomers > 0
        ? [{ kind: newcomersKind, everyMs: pick(replicas, [50, 200, 600]) } as const]
        : [])
    ],
    repeats: pick(random, [0, 0, 0.01, 0.1]),
    lasting: operations.below(4) === 0,
    lanes: pressure.below(2) === 0,
    spare,
    newcomers,
    mixed: late.below(5) === 0,
    tenants: late.below(4) === 0
  }
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.below(values.length)]!
}

/** Exponentially distributed. */
export function exponential(random: Random, mean: number): number {
  return -mean * Math.log(1 - random.float())
}

export function shuffled<T>(values: readonly T[], random: Random): T[] {
  const result = [...values]
  for (let i = result.length - 1; i > 0; i--) {
    const at = random.below(i + 1)
    const other = result[at]!
    result[at] = result[i]!
    result[i] = other
  }
  return result
}
