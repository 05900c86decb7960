import { describe, expect, it } from 'vitest'
import { compileTable, emptyTableView } from './compile-table.ts'
import { explainRoute } from './explain-route.ts'

const set = (id: string) => ({
  id,
  zone: '',
  state: 'active' as const,
  weight: 1,
  transfers: [],
  logics: [],
  routers: []
})

const view = compileTable({
  clusterId: '0a0000000001',
  epoch: 3,
  slotCount: 4,
  runs: [{ first: 0, count: 4, setId: 's1', slotEpoch: 2 }],
  moves: [],
  pins: [
    { match: 'prefix', value: 'vip-', setId: 's2' },
    { match: 'prefix', value: 'vip-a', setId: 's3' },
    { match: 'tenant', value: 'acme', setId: 's4' },
    { match: 'uid', value: 'vip-alice', setId: 's5' }
  ],
  sets: ['s1', 's2', 's3', 's4', 's5'].map(set),
  arbiters: []
})

describe('explainRoute', () => {
  it.each([
    ['bob', undefined, 's1', 'belongs to set s1 since epoch 2'],
    ['bob', 'acme', 's4', 'tenant "acme"'],
    ['vip-bob', 'acme', 's2', 'prefix "vip-"'],
    ['vip-anna', 'acme', 's3', 'prefix "vip-a"'],
    ['vip-alice', 'acme', 's5', 'uid "vip-alice"']
  ])('sends %s of tenant %s to %s', (uid, tenant, setId, why) => {
    const route = explainRoute(view, uid, tenant)
    expect(route).toMatchObject({ setId, slot: view.slotOf(uid), slotEpoch: 2 })
    expect(route.why).toContain(why)
  })

  it('has no answer without a table', () => {
    expect(() => explainRoute(emptyTableView, 'bob')).toThrow(
      expect.objectContaining({ code: 'NO_TABLE' })
    )
  })
})
