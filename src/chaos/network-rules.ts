import type { FaultOrder } from '../control/control-source.ts'
import { clientPeer, type Disturbances } from './disturbances.ts'

type LinkFault = FaultOrder['links'][number]

/** What becomes of the packets that leave one place for another. */
export interface OutwardPlan {
  readonly cut: boolean
  readonly delayMs: number
  readonly jitterMs: number
  readonly lossShare: number
  /** 0 = as fast as it goes. */
  readonly bytesPerSecond: number
}

/** A node by its id, or the outside: everybody who is no node. */
export const outside = clientPeer
/** Place → the other end → what becomes of the packets on their way there; none: nothing is done. */
export type OutwardPlans = ReadonlyMap<string, ReadonlyMap<string, OutwardPlan>>
/** Address → address → what becomes of the packets on their way there. */
export type AddressPlans = OutwardPlans

const free: OutwardPlan = { cut: false, delayMs: 0, jitterMs: 0, lossShare: 0, bytesPerSecond: 0 }
/** What may wait before a narrow line, as in the buffers of a system. */
const narrowQueueBytes = 64 * 1024
const delayedPackets = 10_000
const lossTable = 'bridge ringset'
/** One of so many is the least share that can be lost. */
const lots = 1_000_000
/** Leads nowhere: no interface has it. */
const nobodysAddress = '02:00:00:00:00:00'

/** All disturbances together. What comes in is disturbed where it leaves. */
export function outwardPlans(active: readonly Disturbances[]): OutwardPlans {
  const plans = new Map<string, Map<string, OutwardPlan>>()
  const add = (from: string, to: string, fault: LinkFault): void => {
    const there = plans.get(from) ?? new Map<string, OutwardPlan>()
    plans.set(from, there.set(to, worse(there.get(to) ?? free, fault)))
  }
  for (const disturbances of active) {
    for (const [node, { links }] of disturbances) {
      for (const fault of links) {
        if (fault.direction !== 'in') add(node, fault.peer, fault)
        if (fault.peer === outside && fault.direction !== 'out') add(outside, node, fault)
      }
    }
  }
  return plans
}

function worse(plan: OutwardPlan, fault: LinkFault): OutwardPlan {
  const rates = [plan.bytesPerSecond, fault.bytesPerSecond].filter(rate => rate > 0)
  return {
    cut: plan.cut || fault.cut,
    delayMs: plan.delayMs + fault.delayMs,
    jitterMs: plan.jitterMs + fault.jitterMs,
    lossShare: Math.max(plan.lossShare, fault.lossShare),
    bytesPerSecond: rates.length === 0 ? 0 : Math.min(...rates)
  }
}

/**
 * Lines for `ip -batch` that make the cuts of a place what they should be. Packets to a neighbour at an address that nobody has leave and
 * arrive nowhere; neither end is told.
 */
export function cutLines(
  device: string,
  before: readonly string[],
  after: readonly string[]
): string[] {
  const healed = before.filter(address => !after.includes(address))
  const cut = after.filter(address => !before.includes(address))
  return [
    ...healed.map(address => `neigh del ${address} dev ${device}`),
    ...cut.map(
      address => `neigh replace ${address} lladdr ${nobodysAddress} nud permanent dev ${device}`
    )
  ]
}

/**
 * The rules of the bridge, for `nft -f`: segments are lost in the middle of the network, as they would be on the way, and both ends are left
 * to find out. They take the place of all before.
 */
export function lossRules(plans: AddressPlans): string {
  const drops = [...plans].flatMap(([from, there]) =>
    [...there].flatMap(([to, { lossShare }]) => {
      if (lossShare === 0) return []
      const lost = Math.max(1, Math.round(lossShare * lots))
      return [`ip saddr ${from} ip daddr ${to} numgen random mod ${lots} < ${lost} drop`]
    })
  )
  const chain = ['chain forward {', 'type filter hook forward priority 0', ...drops, '}']
  const table = [`table ${lossTable} {`, ...chain, '}']
  return [`add table ${lossTable}`, `delete table ${lossTable}`, ...table, ''].join('\n')
}

/** Lines for `tc -batch` that shape what leaves a place, from its default state on. */
export function shapeLines(device: string, plans: ReadonlyMap<string, OutwardPlan>): string[] {
  const shaped = [...plans].filter(([, plan]) => isShaped(plan))
  if (shaped.length === 0) return []
  const lines = shaped.flatMap(([address, plan], i) => {
    const flow = `1:${(i + 1).toString(16)}`
    const rate = plan.bytesPerSecond > 0 ? `${plan.bytesPerSecond * 8}bit` : '10gbit'
    return [
      `class add dev ${device} parent 1: classid ${flow} htb rate ${rate}`,
      `qdisc add dev ${device} parent ${flow} ${leafOf(plan)}`,
      `filter add dev ${device} parent 1: protocol ip prio 1 u32 match ip dst ${address}/32 flowid ${flow}`
    ]
  })
  return [`qdisc add dev ${device} root handle 1: htb default 0`, ...lines]
}

function isShaped({ delayMs, jitterMs, bytesPerSecond }: OutwardPlan): boolean {
  return delayMs > 0 || jitterMs > 0 || bytesPerSecond > 0
}

function leafOf({ delayMs, jitterMs }: OutwardPlan): string {
  if (delayMs === 0 && jitterMs === 0) return `bfifo limit ${narrowQueueBytes}`
  // netem's jitter goes both ways from the middle.
  return `netem limit ${delayedPackets} delay ${delayMs + jitterMs / 2}ms ${jitterMs / 2}ms`
}
