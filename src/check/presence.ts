import type { Model, Operation } from './linearizability.ts'
import type { LookupResult, RegisterRequest, UnregisterRequest } from './values.ts'

export type PresenceInput =
  | ({ readonly kind: 'register' } & RegisterRequest)
  | ({ readonly kind: 'unregister'; readonly removed: boolean } & UnregisterRequest)
  | ({ readonly kind: 'lookup' } & LookupResult)

type Route = RegisterRequest

/** One user's routes by device; `key` spells them out. */
interface Routes {
  readonly byDevice: ReadonlyMap<string, Route>
  readonly key: string
  /** What a lookup sees. */
  readonly view: string
}

/**
 * One user's presence: `register` puts a device's connection in place of any with the same or a
 * lower connSeq, and of the other device of its class where the class allows one; `unregister`
 * removes exactly that connection; `lookup` sees all at one instant. A register that was answered
 * ok became the route; an unregister that answered `removed: false` may have removed it in an
 * earlier attempt.
 */
export function preparePresence(operations: readonly Operation<PresenceInput>[]): {
  readonly operations: readonly Operation<PresenceInput>[]
  readonly model: Model<Routes, PresenceInput>
} {
  const chains = new Map<string, number>()
  const prepared: Operation<PresenceInput>[] = []
  for (const operation of [...operations].sort((a, b) => a.call - b.call)) {
    if (Number.isFinite(operation.return)) prepared.push(operation)
    else if (operation.input.kind !== 'lookup') {
      // Equal ones of unknown outcome are interchangeable.
      const same = JSON.stringify(operation.input)
      const chain = chains.get(same) ?? chains.size
      chains.set(same, chain)
      prepared.push({ ...operation, chain })
    }
  }
  return { operations: prepared, model: presence }
}

const presence: Model<Routes, PresenceInput> = {
  initial: routesOf(new Map()),
  step(routes, input) {
    switch (input.kind) {
      case 'lookup':
        return routes.view === viewOf(input.routes) ? routes : undefined
      case 'unregister': {
        const current = routes.byDevice.get(input.device)
        if (current?.connection !== input.connection) return input.removed ? undefined : routes
        const left = new Map(routes.byDevice)
        left.delete(input.device)
        return routesOf(left)
      }
      case 'register': {
        const current = routes.byDevice.get(input.device)
        if (current !== undefined && current.connSeq > input.connSeq) return undefined
        const next = new Map(routes.byDevice)
        if (input.class === 'mobile' || input.class === 'desktop') {
          for (const [device, other] of next) if (other.class === input.class) next.delete(device)
        }
        return routesOf(next.set(input.device, input))
      }
    }
  },
  key: routes => routes.key,
  staysIdle: input => input.kind === 'lookup',
  show(input) {
    if (input.kind === 'lookup') return `lookup → [${viewOf(input.routes).replaceAll('\n', ' ')}]`
    return `${input.kind} ${input.device} ${input.connection}`
  }
}

function routesOf(byDevice: ReadonlyMap<string, Route>): Routes {
  const routes = [...byDevice.values()]
  const lines = routes.map(
    one => `${one.device}\n${one.connection}\n${one.connSeq}\n${one.class ?? ''}`
  )
  return { byDevice, key: lines.sort().join('\n'), view: viewOf(routes) }
}

function viewOf(routes: LookupResult['routes']): string {
  return routes
    .map(one => `${one.device}\n${one.connection}`)
    .sort()
    .join('\n')
}
