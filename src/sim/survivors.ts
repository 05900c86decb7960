import type { Random } from '../base/ports.ts'
import { isQuorum } from './member-watch.ts'
import type { SimProcess } from './sim-process.ts'
import { shuffled } from './swarm.ts'
import { arbiterGroup } from './topology.ts'
import type { World } from './world.ts'

/**
 * A random minority of each group that its others can do without for ever: whatever becomes of a change of members under way, a
 * majority with all its data is left, and a gateway in every set.
 */
export function expendable(world: World, random: Random): SimProcess[] {
  const { memberWatch, topology } = world
  return topology.groups.flatMap(group => {
    const places = topology.replicasOf(group)
    const most = (places.length - 1) >> 1
    // A group that has yet to meet for the first time needs everybody.
    if (most === 0 || group === topology.spare) return []
    const possible = memberWatch.possible(group)
    let left = memberWatch.sound(group)
    let gateways = places.map(({ nodeId }) => nodeId).filter(id => hasGateway(world.node(id)))
    const dead: SimProcess[] = []
    const wanted = 1 + random.below(most)
    for (const { replicaId, nodeId } of shuffled(places, random)) {
      if (dead.length === wanted) break
      const others = left.filter(id => id !== replicaId)
      const open = gateways.filter(id => id !== nodeId)
      const served = group === arbiterGroup || open.length > 0
      if (!served || !possible.every(membership => isQuorum(membership, others))) continue
      dead.push(world.node(nodeId))
      left = others
      gateways = open
    }
    return dead
  })
}

function hasGateway({ endpoints }: SimProcess): boolean {
  return endpoints.some(endpoint => endpoint.startsWith('transfer/'))
}
