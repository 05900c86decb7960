import { Transfer } from '../transfer/transfer.ts'
import type { SimDevice } from './sim-device.ts'
import type { World } from './world.ts'

/** Where the leader of a user's set has a device wrong. Once all is calm it knows the present connection of each, and no other. */
export function presenceProblem(world: World): string | undefined {
  for (const device of world.devices) {
    const problem = problemOf(world, device)
    if (problem !== undefined) return problem
  }
  return undefined
}

function problemOf(world: World, device: SimDevice): string | undefined {
  const { uid, deviceId, name } = device
  const connection = world.gates.connectionOf(device)
  if (connection === undefined) return `${name} has no connection`
  const transfer = connection.process.roles.get(connection.endpoint)
  const view = connection.process.keeper.view()
  const slot = view.slotOf(uid)
  const all = world.trafficWatch.routesOf(view.owner(slot)!.setId, slot, uid)
  if (!(transfer instanceof Transfer) || all === undefined) return `nobody serves ${name}`
  const routes = all.filter(route => route.deviceId === deviceId)
  const { connId } = connection
  const right = routes.some(
    route => route.connId === connId && route.transferBootId === transfer.transferBootId
  )
  if (right && routes.length === 1) return undefined
  const known = routes.map(route => `${route.transferId}:${route.connId}`).join(', ')
  return `${name} is at ${connection.endpoint}:${connId}, its set knows ${known || 'nothing'}`
}
