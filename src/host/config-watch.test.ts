import { describe, expect, it } from 'vitest'
import { imTable } from '../../test/support/fake-im-table.ts'
import { createTableKeeper } from '../table/create-table-keeper.ts'
import { differencesOf, watchConfig } from './config-watch.ts'

describe('a configuration that is not in force', () => {
  const tenants = [{ id: 'acme', prefix: 'acme-', slots: 4 }]
  const inForce = {
    slotCount: 64,
    tenants: [{ id: 'acme', prefix: 'acme-', first: 60, count: 4 }]
  }

  it('is told from one that is, field by field', () => {
    expect(differencesOf({ slotCount: 64, tenants }, inForce)).toEqual([])
    expect(differencesOf({ slotCount: 128, tenants }, inForce).map(({ field }) => field)).toEqual([
      'cluster.slotCount'
    ])
    expect(differencesOf({ slotCount: 64, tenants: [] }, inForce)).toEqual([
      { field: 'cluster.tenants', configured: 'none', inForce: 'acme "acme-" 4' }
    ])
  })

  it('is told once, with the first table', () => {
    const told: unknown[] = []
    const error = (event: string, facts?: object) => told.push([event, facts])
    const keeper = createTableKeeper()
    const silent = () => {}
    const log = { debug: silent, info: silent, warn: silent, error }
    const cluster = { name: 'c', slotCount: 64, tenants, carry: 'stamp' as const }
    const rest = { allowPlaintext: false, faultControl: false }
    watchConfig({ ...cluster, ...rest }, keeper, log)
    expect(told).toEqual([])
    keeper.adopt(imTable(1).encoded)
    keeper.adopt(imTable(2).encoded)
    const facts = { field: 'cluster.tenants', configured: 'acme "acme-" 4', inForce: 'none' }
    expect(told).toEqual([['config_not_in_force', facts]])
  })
})
