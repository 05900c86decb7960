import { describe, expect, it } from 'vitest'
import { compileTable, emptyTableView } from './compile-table.ts'
import { explainRoute } from './explain-route.ts'
import type { GreyRule, Pin, ProcessEntry, SlotMove, Tenant } from './table.ts'

const logic = (id: string, version: string, state: ProcessEntry['state'] = 'up'): ProcessEntry => ({
  id,
  nodeId: `node-${id}`,
  bootId: 1,
  address: '127.0.0.1:1',
  state,
  version,
  weight: 1
})

interface Change {
  readonly pins?: readonly Pin[]
  readonly moves?: readonly SlotMove[]
  readonly grey?: readonly GreyRule[]
  readonly logics?: readonly ProcessEntry[]
  readonly tenants?: readonly Tenant[]
}

const viewWith = ({ pins = [], moves = [], grey = [], logics = [], tenants = [] }: Change) =>
  compileTable({
    clusterId: '0a0000000001',
    epoch: 3,
    slotCount: 4,
    runs: [{ first: 0, count: 4, setId: 's1', slotEpoch: 2 }],
    moves,
    grey,
    tenants,
    pins,
    sets: ['s1', 's2'].map(id => ({
      id,
      zone: '',
      state: 'active' as const,
      weight: 1,
      transfers: [],
      logics: id === 's1' ? logics : [],
      routers: []
    })),
    arbiters: []
  })

const rule = (version: string, change: Partial<GreyRule> = {}): GreyRule => ({
  version,
  percent: 0,
  uids: [],
  prefixes: [],
  ...change
})

describe('explainRoute', () => {
  it('tells who owns the slot, and nothing that is not so', () => {
    const route = explainRoute(viewWith({}), 'bob')
    expect(route).toMatchObject({ setId: 's1', slotEpoch: 2, slotCount: 4, asRuled: true })
    expect(route).toMatchObject({ pinnedBy: [], logics: [] })
    expect([route.pinnedTo, route.movingTo, route.grey]).toEqual([undefined, undefined, undefined])
    expect(route.why).toBe(`slot ${route.slot} belongs to set s1 since epoch 2`)
  })

  it('names the owner as the set, also when the slot is pinned elsewhere and on its way', () => {
    const { slot } = explainRoute(viewWith({}), 'bob')
    const pins: Pin[] = [{ match: 'uid', value: 'bob', setId: 's2' }]
    const moves = [{ slot, to: 's2', epoch: 3 }]
    const pinned = explainRoute(viewWith({ pins, moves }), 'bob')
    expect(pinned).toMatchObject({ setId: 's1', pinnedTo: 's2', pinnedBy: ['bob'], movingTo: 's2' })
    expect(pinned.why).toBe(
      `slot ${slot} belongs to set s1 since epoch 2; it is pinned to set s2 by "bob"; it is on its way to set s2`
    )
    const names = Array.from({ length: 40 }, (_, i) => `user-${i}`)
    const neighbour = names.find(uid => viewWith({}).slotOf(uid) === slot)!
    expect(explainRoute(viewWith({ pins }), neighbour)).toMatchObject({ pinnedBy: ['bob'] })
    const stranger = names.find(uid => viewWith({}).slotOf(uid) !== slot)!
    expect(explainRoute(viewWith({ pins }), stranger)).toMatchObject({ pinnedBy: [] })
  })

  it('says of a user of a tenant that the tenant is pinned, and of others nothing of it', () => {
    const tenants = [{ id: 'acme', prefix: 'acme-', first: 3, count: 1 }]
    const pins: Pin[] = [
      { match: 'tenant', value: 'acme', setId: 's2' },
      { match: 'uid', value: 'acme-ann', setId: 's2' }
    ]
    const why = 'slot 3, 1 of 1 of tenant acme, belongs to set s1 since epoch 2'
    const route = explainRoute(viewWith({ pins, tenants }), 'acme-bob')
    expect(route).toMatchObject({
      ...{ slot: 3, setId: 's1', pinnedTo: 's2', pinnedBy: ['acme-ann'], tenantPinned: true },
      ...{ tenant: { id: 'acme' }, why: `${why}; it is pinned to set s2 by tenant acme and 1 more` }
    })
    const free = { tenant: { id: 'acme' }, tenantPinned: false, pinnedTo: undefined, why }
    expect(explainRoute(viewWith({ tenants }), 'acme-bob')).toMatchObject(free)
    const other = { tenant: undefined, tenantPinned: false, pinnedTo: undefined }
    expect(explainRoute(viewWith({ pins, tenants }), 'acme')).toMatchObject(other)
  })

  it('does not take a prefix for a pin: it has no slots of its own', () => {
    const pins: Pin[] = [{ match: 'prefix', value: 'bob', setId: 's2' }]
    const route = explainRoute(viewWith({ pins }), 'bob')
    expect(route).toMatchObject({ setId: 's1', pinnedTo: undefined, pinnedBy: [] })
  })

  it('names the logics that serve the user, by rule or for want of others', () => {
    const logics = [logic('l1', '0.1.0'), logic('l2', '0.2.0'), logic('l3', '0.2.0', 'down')]
    const grey = [rule('0.2.0', { uids: ['bob'], prefixes: ['vip-'] }), rule('0.3.0')]
    const view = viewWith({ logics, grey })
    const idsOf = (uid: string, table = view) => explainRoute(table, uid).logics.map(({ id }) => id)
    expect(explainRoute(view, 'bob').grey).toEqual({ version: '0.2.0', by: 'users by name' })
    expect(explainRoute(view, 'vip-ann').grey?.by).toBe('users "vip-…"')
    expect([idsOf('bob'), idsOf('vip-ann'), idsOf('carl')]).toEqual([['l2'], ['l2'], ['l1']])
    const old = viewWith({ logics: logics.slice(0, 1), grey })
    expect(idsOf('bob', old)).toEqual(['l1'])
    expect([explainRoute(old, 'bob').asRuled, explainRoute(old, 'carl').asRuled]).toEqual([
      false,
      true
    ])
    expect(idsOf('carl', viewWith({ logics }))).toEqual(['l1', 'l2'])
  })

  it('has no answer without a table', () => {
    expect(() => explainRoute(emptyTableView, 'bob')).toThrow(
      expect.objectContaining({ code: 'NO_TABLE' })
    )
  })
})
