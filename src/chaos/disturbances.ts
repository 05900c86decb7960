import { hostPort } from '../base/host-port.ts'
import type { ClusterConfig } from '../config/schema.ts'
import type { FaultOrder } from '../control/control-source.ts'
import type { LinkAction, NodeAction, ScenarioFault } from './scenario.ts'

type LinkFault = FaultOrder['links'][number]
type DiskFault = NonNullable<FaultOrder['disk']>

/** What is done to one node by its own hand. */
export interface Disturbance {
  readonly links: readonly LinkFault[]
  readonly disk: DiskFault | undefined
  readonly clockOffsetMs: number
}

/** Node id → what is done to it. */
export type Disturbances = ReadonlyMap<string, Disturbance>

/** Stands for users and backends among peers. */
export const clientPeer = 'clients'
/** Longer than a fault lasts: a write waits until it is over. */
const stuckMs = 60_000

const untouchedLink: LinkFault = {
  peer: '',
  address: '',
  direction: 'both',
  cut: false,
  flapMs: 0,
  delayMs: 0,
  jitterMs: 0,
  lossShare: 0,
  bytesPerSecond: 0
}
const soundDisk: DiskFault = { delayMs: 0, jitterMs: 0, failure: '' }
const untouched: Disturbance = { links: [], disk: undefined, clockOffsetMs: 0 }

/** What a fault of links does to one of them, at the node where it is done. */
function disturbance(fault: ScenarioFault): Partial<LinkFault> {
  switch (fault.do as LinkAction) {
    case 'cut':
    case 'cutOneWay':
      return { cut: true }
    case 'flap':
      return { cut: true, flapMs: fault.flapMs }
    case 'delay':
      return { delayMs: fault.delayMs, jitterMs: fault.jitterMs }
    case 'loss':
      return { lossShare: fault.share }
    case 'bandwidth':
      return { bytesPerSecond: fault.bytesPerSecond }
  }
}

/**
 * What each node has to do to its links for a fault between `from` and `to`. A cut is made at both ends; what slows down, where it leaves.
 * @param to undefined: the clients.
 */
export function linkDisturbances(
  fault: ScenarioFault,
  config: ClusterConfig,
  from: readonly string[],
  to: readonly string[] | undefined
): Disturbances {
  const byNode = new Map<string, Disturbance>()
  const what = disturbance(fault)
  const oneWay = fault.do === 'cutOneWay'
  const addressOf = (node: string): string => {
    const { host, peerPort } = config.nodes.find(({ id }) => id === node)!
    return hostPort(host, peerPort)
  }
  const add = (node: string, peer: string, direction: string): void => {
    const address = peer === clientPeer ? '' : addressOf(peer)
    const { links } = byNode.get(node) ?? untouched
    const one = { ...untouchedLink, ...what, peer, address, direction }
    byNode.set(node, { ...untouched, links: [...links, one] })
  }
  for (const a of from) {
    if (to === undefined) add(a, clientPeer, oneWay ? 'out' : 'both')
    for (const b of to ?? []) {
      if (a === b) continue
      const twice = to!.includes(a) && from.includes(b)
      const both = what.cut === true && !oneWay
      add(a, b, both ? 'both' : 'out')
      if (!twice) add(b, a, both ? 'both' : oneWay ? 'in' : 'out')
    }
  }
  return byNode
}

/** What nodes have to do to their disks or clocks for a fault. */
export function nodeDisturbances(
  action: NodeAction | 'diskFull' | 'syncError',
  { delayMs, jitterMs, offsetMs }: Pick<ScenarioFault, 'delayMs' | 'jitterMs' | 'offsetMs'>,
  nodes: readonly string[]
): Disturbances {
  const disk = (change: Partial<DiskFault>): Disturbance => {
    return { ...untouched, disk: { ...soundDisk, ...change } }
  }
  const what: Readonly<Record<typeof action, Disturbance>> = {
    slowDisk: disk({ delayMs, jitterMs }),
    stuckDisk: disk({ delayMs: stuckMs }),
    diskFull: disk({ failure: 'full' }),
    syncError: disk({ failure: 'sync' }),
    clockOffset: { ...untouched, clockOffsetMs: offsetMs }
  }
  return new Map(nodes.map(node => [node, what[action]]))
}

/** All that is done to one node at a time, as one order to it: delays and offsets add up, and a disk that is full is full. */
export function orderOf(all: readonly Disturbance[], leaseMs: number): FaultOrder {
  const disks = all.flatMap(({ disk }) => disk ?? [])
  const failures = ['full', 'sync'].filter(name => disks.some(({ failure }) => failure === name))
  const total = (of: 'delayMs' | 'jitterMs'): number =>
    Math.min(
      stuckMs,
      disks.reduce((sum, disk) => sum + disk[of], 0)
    )
  return {
    links: all.flatMap(({ links }) => links),
    leaseMs,
    disk:
      disks.length === 0
        ? undefined
        : { delayMs: total('delayMs'), jitterMs: total('jitterMs'), failure: failures[0] ?? '' },
    clockOffsetMs: all.reduce((sum, { clockOffsetMs }) => sum + clockOffsetMs, 0)
  }
}
