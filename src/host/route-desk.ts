import { Prng } from '../base/prng.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { Route } from '../protocol/kinds.ts'
import type { Packet } from '../protocol/packet.ts'
import type { Role } from '../protocol/role.ts'
import { RouteClient } from '../route/route-client.ts'
import type { NodeParts } from './node-parts.ts'

const lookupMs = 2_000

/** Lets the control interface ask routers as any logic does: an endpoint of its own with a route client. */
export class RouteDesk implements Role {
  readonly #parts: NodeParts
  readonly #route: RouteClient

  constructor(parts: NodeParts) {
    const { node, bootId, clock, keeper, metrics, network, runner } = parts
    const self: EndpointId = `control/${node.id}`
    this.#parts = parts
    this.#route = new RouteClient({
      bootId,
      metrics,
      nowMs: clock.nowMs,
      random: new Prng(bootId, self),
      send: (to, packet) => network.send(self, to, packet),
      table: () => keeper.view()
    })
    network.addLocal(self)
    runner.add(self, this)
  }

  /** Where a user is online. Rejects with the code of the refusal. */
  lookup(uid: string): Promise<readonly Route[]> {
    const slot = this.#parts.keeper.view().slotOf(uid)
    return new Promise((resolve, reject) => {
      this.#route.request(
        { slot },
        'LOOKUP',
        { uids: [uid] },
        {
          deadlineMs: lookupMs,
          onDone: result => {
            if (result instanceof Error) reject(result)
            else resolve(result.payload.users[0]?.routes ?? [])
          }
        }
      )
    })
  }

  /** 0 while nobody is known to lead the set. */
  leaderOf(setId: string): number {
    return this.#route.leaderOf(setId)
  }

  start(): void {}

  tick(): void {
    this.#route.tick()
  }

  onPacket(from: EndpointId, packet: Packet): void {
    this.#route.onPacket(from, packet)
  }

  onPeer(peer: EndpointId, up: boolean): void {
    this.#route.onPeer(peer, up)
  }

  onTable(): void {
    this.#route.onTable()
  }

  flush(): void {}

  stopping(): boolean {
    return true
  }
}
