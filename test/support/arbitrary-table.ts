import fc from 'fast-check'
import { ownersOf, runsOf } from '../../src/table/runs.ts'
import { reserveSlots } from '../../src/table/slot-of.ts'
import type { Pin, RoutingTable, SetEntry, Tenant } from '../../src/table/table.ts'

const bootId = fc.integer({ min: 0, max: 2 ** 48 - 1 })
const nodeId = fc.constantFrom('n1', 'n2', 'node-三', 'a'.repeat(128))
const address = fc.constantFrom('', '10.0.0.1:7000', '10.0.0.2:7000', '[::1]:65535')
const id = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,10}$/)

const processFields = {
  nodeId,
  bootId,
  address,
  state: fc.constantFrom('up' as const, 'down' as const, 'draining' as const),
  version: fc.constantFrom('', '0.1.0', '1.0.0-rc.1'),
  weight: fc.integer({ min: 0, max: 1_000 })
}

const replicaFields = { nodeId, address }

function sortedBy<T>(items: readonly T[], key: (item: T) => string | number): T[] {
  return [...items].sort((a, b) => (key(a) < key(b) ? -1 : 1))
}

const survivor = {
  ...{ replicaId: 3, nodeId: 'n1', address: '', bootId: 0 },
  ...{ role: 'voter' as const, state: 'down' as const }
}

/** Process ids are made unique in the cluster by the number of their set. */
function setAt(setId: string, number: number): fc.Arbitrary<SetEntry> {
  const ids = fc.uniqueArray(
    id.map(text => `${number}-${text}`),
    { maxLength: 4 }
  )
  const replicaIds = fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { maxLength: 4 })
  const set = fc.record({
    id: fc.constant(setId),
    zone: fc.constantFrom('', 'default', 'zürich'),
    state: fc.constantFrom('active' as const, 'draining' as const, 'lost' as const),
    weight: fc.integer({ min: 1, max: 10_000 }).map(hundredths => hundredths / 100),
    transfers: ids.chain(list =>
      fc.tuple(
        ...sortedBy(list, text => text).map(text =>
          fc.record({
            id: fc.constant(text),
            ...processFields,
            clientAddresses: fc.array(fc.constantFrom('tcp://a:1', 'ws://b:2'), { maxLength: 3 })
          })
        )
      )
    ),
    logics: ids.chain(list =>
      fc.tuple(
        ...sortedBy(list, text => text).map(text =>
          fc.record({ id: fc.constant(text), ...processFields })
        )
      )
    ),
    routers: replicaIds.chain(list =>
      fc.tuple(
        ...sortedBy(list, replicaId => replicaId).map(replicaId =>
          fc.record({
            replicaId: fc.constant(replicaId),
            ...replicaFields,
            role: fc.constantFrom('voter' as const, 'learner' as const),
            bootId,
            state: fc.constantFrom('up' as const, 'down' as const)
          })
        )
      )
    )
  })
  // A lost set has one survivor.
  return set.map(one => ({
    ...one,
    routers: one.state === 'lost' ? [one.routers[0] ?? survivor] : one.routers
  }))
}

function pinsOf(setIds: readonly string[], tenants: readonly Tenant[]): fc.Arbitrary<Pin[]> {
  const named = (['uid', 'prefix'] as const).flatMap(match =>
    ['alice', 'al', 'bob', '用户', 'b'.repeat(128)].map(value => ({ match, value }))
  )
  const held = tenants.map(({ id }) => ({ match: 'tenant' as const, value: id }))
  const pin = fc
    .tuple(fc.constantFrom(...named, ...held, ...held), fc.constantFrom(...setIds))
    .map(([pinned, setId]): Pin => ({ ...pinned, setId }))
  const key = (entry: Pin) => `${entry.match}\u0000${entry.value}`
  return fc.uniqueArray(pin, { maxLength: 5, selector: key }).map(entries => sortedBy(entries, key))
}

/** As many as fit into less than half of the slots. */
export function tenantsOf(slotCount: number): fc.Arbitrary<Tenant[]> {
  const plans = fc.subarray(['a', 'bo', 'b.', '用', 'z'.repeat(32)]).chain(prefixes =>
    fc.tuple(
      ...prefixes.map((prefix, i) =>
        fc.record({
          id: fc.constant(`t${(i * 3) % 5}`),
          prefix: fc.constant(prefix),
          slots: fc.integer({ min: 1, max: Math.max(1, slotCount >>> 3) })
        })
      )
    )
  )
  return plans.map(list => {
    const fitting = list.filter((_, i) => {
      const sum = list.slice(0, i + 1).reduce((all, { slots }) => all + slots, 0)
      return sum * 2 < slotCount
    })
    return reserveSlots(slotCount, fitting).map(({ id, prefix, first, count }) => {
      return { id, prefix, first, count }
    })
  })
}

const names = fc.subarray(['alice', 'b'.repeat(128), 'vip-', '用户'])

const rulesOfGrey = fc.subarray(['0.1.0', '0.2.0', '1.0.0-rc.1', 'v'.repeat(32)]).chain(versions =>
  fc.tuple(
    ...versions.map(version =>
      fc.record({
        version: fc.constant(version),
        percent: fc.constantFrom(0, 0.01, 5, 33.33, 100),
        uids: names,
        prefixes: names
      })
    )
  )
)

/**
 * Sound tables of every shape: few and many sets, calm and scattered slots, with and without pins, moves, rules and tenants.
 */
export const arbitraryTable: fc.Arbitrary<RoutingTable> = fc
  .tuple(
    fc.uniqueArray(id, { minLength: 1, maxLength: 5 }),
    fc.integer({ min: 1, max: 0xffff_ffff }),
    fc.integer({ min: 0, max: 7 }),
    fc.integer({ min: 1, max: 40 })
  )
  .chain(([ids, epoch, exponent, runLength]) => {
    const setIds = sortedBy(ids, text => text)
    const slotCount = 2 ** exponent
    const slot = fc.tuple(
      fc.constantFrom(...setIds),
      fc.oneof(fc.constant(1), fc.integer({ min: 1, max: epoch }))
    )
    const moving = fc.uniqueArray(
      fc.tuple(
        fc.nat(slotCount - 1),
        fc.constantFrom(...setIds),
        fc.integer({ min: 1, max: epoch })
      ),
      { maxLength: 3, selector: ([slot]) => slot }
    )
    const still = fc.record({
      clusterId: fc.stringMatching(/^[0-9a-f]{12}$/),
      epoch: fc.constant(epoch),
      slotCount: fc.constant(slotCount),
      runs: fc
        .array(slot, { minLength: slotCount, maxLength: slotCount })
        .map(slots => slots.map((_, i) => slots[i - (i % runLength)]!))
        .map(slots =>
          runsOf(
            slots.map(([setId]) => setId),
            slots.map(([, slotEpoch]) => slotEpoch)
          )
        ),
      grey: fc.oneof(fc.constant([]), rulesOfGrey),
      sets: fc.tuple(...setIds.map(setAt)),
      arbiters: fc.constantFrom(
        [],
        [
          { replicaId: 1, nodeId: 'n1', address: '10.0.0.1:7000' },
          { replicaId: 2, nodeId: 'n2', address: '' }
        ]
      )
    })
    const held = tenantsOf(slotCount).chain(tenants =>
      fc.record({ tenants: fc.constant(tenants), pins: pinsOf(setIds, tenants) })
    )
    return fc.tuple(still, held, moving).map(([table, rest, moves]) => ({
      ...table,
      ...rest,
      moves: moves
        .map(([slot, to, begun]) => ({ slot, to, epoch: begun }))
        .filter(({ slot, to }) => ownersOf(table.runs)[slot] !== to)
        .sort((a, b) => a.slot - b.slot)
    }))
  })
