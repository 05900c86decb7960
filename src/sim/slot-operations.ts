import { Arbiter } from '../arbiter/arbiter.ts'
import type { Prng } from '../base/prng.ts'
import { routerEndpoint } from '../protocol/endpoint.ts'
import { parseSession, routingKey } from '../protocol/session.ts'
import { Router } from '../router/router.ts'
import type { Mark } from './marks.ts'
import type { SimProcess } from './sim-process.ts'
import { simTenant, simVersion } from './sim-roles.ts'
import { pick } from './swarm.ts'
import { arbiterGroup } from './topology.ts'
import type { World } from './world.ts'

/** Asks whoever leads the arbiters to send some slots to other sets; mostly such that somebody uses. */
export function moveSlots(world: World, random: Prng): void {
  const { setIds } = world.topology
  const slots = Array.from({ length: 1 + random.below(4) }, () => slotOf(world, random))
  const targets = slots.map(() => pick(random, setIds))
  atArbiter(world, (arbiter, view) => {
    for (const [i, slot] of slots.entries()) {
      if (view.owner(slot)?.setId === targets[i]) continue
      arbiter.changes.move(slot, targets[i]!, refusal => {
        if (refusal === undefined) world.marks.hit('slot sent on its way')
      })
    }
  })
  if (random.below(3) === 0) pinSlot(world, random)
}

/** Pins the slot of somebody who writes, or lets it go again; now and then rules of a grey release come and go with it. */
function pinSlot(world: World, random: Prng): void {
  const { uid } = pick(random, world.devices)
  const setId = pick(random, world.topology.setIds)
  const percent = random.below(101)
  const choice = random.below(6)
  const ofTenant = world.swarm.tenants && random.below(2) === 0
  atArbiter(world, ({ changes }) => {
    const none = (): void => {}
    if (ofTenant && choice < 3) {
      changes.order({ type: 'pinTenant', tenant: simTenant.id, setId }, refusal => {
        if (refusal === undefined) world.marks.hit('tenant pinned')
      })
    } else if (ofTenant) {
      changes.order({ type: 'unpinTenant', tenant: simTenant.id }, none)
    } else if (choice < 3) {
      changes.order({ type: 'pin', uid, setId }, refusal => {
        if (refusal === undefined) world.marks.hit('slot pinned')
      })
    } else if (choice === 3) changes.order({ type: 'unpin', uid }, none)
    else if (choice === 4) {
      const rule = { version: simVersion, percent, uids: [uid], prefixes: [] }
      changes.order({ type: 'grey', rule }, none)
    } else changes.order({ type: 'ungrey', version: '' }, none)
  })
}

/**
 * Adds the spare set, gives it slots, has it drain and takes it out; each time one step further, or a step that is refused. Once it is out
 * its name is used up.
 */
export function changeSets(world: World, random: Prng): void {
  const { spare, firstSets } = world.topology
  if (spare === undefined) return
  const choice = random.below(4)
  const wanted = Array.from({ length: 4 }, () => slotOf(world, random))
  const elsewhere = pick(random, firstSets)
  const routers = [...world.topology.replicasOf(spare)]
  const change = { setId: spare, epoch: 0, zone: 'default', weight: 100, routers }
  atArbiter(world, (arbiter, view) => {
    const { changes } = arbiter
    const step = (name: 'add' | 'drain' | 'remove', mark?: Mark): void =>
      changes.changeSet({ ...change, step: name }, refusal => {
        if (refusal === undefined && mark !== undefined) world.marks.hit(mark)
      })
    const set = view.set(spare)
    if (set === undefined) step('add', 'set added')
    else if (set.state === 'draining' && choice < 3) {
      for (const run of view.table!.runs) {
        if (run.setId !== spare) continue
        for (let slot = run.first; slot < run.first + run.count; slot++) {
          changes.move(slot, elsewhere, () => {})
        }
      }
      step('remove', 'set removed')
    } else if (set.state === 'draining') step('add')
    else if (choice === 0) step('drain')
    else for (const slot of wanted) changes.move(slot, spare, () => {})
  })
}

/** Asks to leave a slot where it is. */
export function abortMove(world: World, random: Prng): void {
  const at = random.float()
  atArbiter(world, (arbiter, view) => {
    const moves = view.table?.moves ?? []
    const move = moves[Math.floor(at * moves.length)]
    if (move !== undefined) arbiter.changes.abort(move.slot, () => {})
  })
}

/** Asks whoever leads the arbiters, if anybody does. */
export function atArbiter(
  world: World,
  change: (
    arbiter: Arbiter,
    view: SimProcess['keeper'] extends { view(): infer V } ? V : never
  ) => void
): void {
  for (const node of world.nodes) {
    for (const { group, api, endpoint } of node.replicas) {
      const role = node.roles.get(endpoint)
      if (group !== arbiterGroup || !api.leading() || node.paused) continue
      if (!(role instanceof Arbiter)) continue
      change(role, node.keeper.view())
      node.wake(endpoint)
      return
    }
  }
}

function slotOf(world: World, random: Prng): number {
  const view = world.nodes[0]!.keeper.view()
  const session = pick(random, world.sessions)
  const device = pick(random, world.devices)
  const choice = random.below(4)
  if (view.table === undefined) return 0
  if (choice === 0) return random.below(view.table.slotCount)
  if (choice === 1) return view.slotOf(routingKey(session, parseSession(session)))
  return view.slotOf(device.uid)
}

/** What of moves, and of messages for other sets, has not come to its end once all is calm. */
export function slotsOnTheirWay(world: World): string | undefined {
  for (const node of world.nodes) {
    if (!node.alive) continue
    const moving = node.keeper.view().table?.moves[0]
    if (moving !== undefined) return `slot ${moving.slot} is on its way to ${moving.to}`
    for (const { group, replicaId, api } of node.replicas) {
      const role = node.roles.get(routerEndpoint(group, replicaId))
      if (!(role instanceof Router) || !api.leading()) continue
      const slot = role.unsettledSlots()[0]
      if (slot !== undefined) return `slot ${slot} is not settled at ${node.nodeId}`
      // Nobody may be waiting for a copy, and it has to be there nevertheless.
      const waiting = role.status().outboxes.find(({ items }) => items > 0)
      if (waiting !== undefined) return `messages of ${group} wait for ${waiting.targetSet}`
    }
  }
  return undefined
}
