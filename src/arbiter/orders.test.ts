import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ArbiterLog, end, move } from '../../test/support/arbiter-log.ts'
import { pinnedSlots } from '../table/pins.ts'
import { ownersOf } from '../table/runs.ts'
import { slotOfKey } from '../table/slot-of.ts'
import type { GreyRule } from '../table/table.ts'
import { decodeTable, encodeTable } from '../table/table-codec.ts'
import { tableLimits } from '../table/table-rules.ts'
import type { ArbiterCommand } from './arbiter-commands.ts'
import { firstTable } from './first-table.ts'

const slotCount = 16
const sets = ['s1', 's2', 's3'].map(id => {
  const routers = [{ replicaId: 1, nodeId: `${id}-a`, address: '' }]
  return { id, zone: 'default', weight: 1, routers }
})
const tenants = [{ id: 'acme', prefix: 'acme-', slots: 4 }]
const first = firstTable({ clusterId: '0a0000000001', slotCount, sets, tenants }, [])
const acme = [12, 13, 14, 15]
const users = Array.from({ length: 200 }, (_, i) => `user-${i}`)
const slotOf = (uid: string) => slotOfKey(uid, first)
const ownerAtFirst = (uid: string) => ownersOf(first.runs)[slotOf(uid)]
const ann = users.find(uid => ownerAtFirst(uid) === 's1')!
const neighbour = users.find(uid => uid !== ann && slotOf(uid) === slotOf(ann))!
const annsSlot = slotOf(ann)

const pin = (uid: string, setId: string): ArbiterCommand => {
  return { type: 'order', order: { type: 'pin', uid, setId } }
}
const pinTenant = (tenant: string, setId: string): ArbiterCommand => {
  return { type: 'order', order: { type: 'pinTenant', tenant, setId } }
}
const unpinTenant = (tenant: string): ArbiterCommand => {
  return { type: 'order', order: { type: 'unpinTenant', tenant } }
}
const unpin = (uid: string): ArbiterCommand => ({ type: 'order', order: { type: 'unpin', uid } })
const rule = (version: string, change: Partial<GreyRule> = {}): GreyRule => {
  return { version, percent: 5, uids: [], prefixes: [], ...change }
}
const grey = (version: string, change: Partial<GreyRule> = {}): ArbiterCommand => {
  return { type: 'order', order: { type: 'grey', rule: rule(version, change) } }
}
const ungrey = (version: string): ArbiterCommand => {
  return { type: 'order', order: { type: 'ungrey', version } }
}

describe('pins', () => {
  it('send the slot to their set in the same entry, and leave one that is there in peace', () => {
    const log = new ArbiterLog(first)
    expect(log.apply(pin(ann, 's2'))).toEqual(['done'])
    expect(log.table).toMatchObject({
      epoch: 2,
      pins: [{ match: 'uid', value: ann, setId: 's2' }],
      moves: [{ slot: annsSlot, to: 's2', epoch: 2 }]
    })
    expect(log.owner(annsSlot)).toBe('s1')
    const other = new ArbiterLog(first)
    other.apply(pin(ann, 's1'))
    expect(other.table).toMatchObject({ epoch: 2, moves: [] })
  })

  it('make no epoch when they are there, and begin a move again that was called off', () => {
    const log = new ArbiterLog(first)
    log.apply(pin(ann, 's2'))
    expect(log.apply(pin(ann, 's2'))).toEqual(['done'])
    expect(log.table.epoch).toBe(2)
    log.apply(end(annsSlot, 2, false))
    expect(log.table).toMatchObject({ epoch: 3, moves: [] })
    expect(log.apply(pin(ann, 's2'))).toEqual(['done'])
    expect(log.table.moves).toEqual([{ slot: annsSlot, to: 's2', epoch: 4 }])
    expect(log.table.pins).toHaveLength(1)
  })

  it('hold the slot: no move takes it elsewhere, for whomever it is asked', () => {
    const log = new ArbiterLog(first)
    log.apply(pin(ann, 's2'))
    expect(log.apply(move(annsSlot, 's3'))).toEqual(['pinned'])
    expect(log.apply(move(annsSlot, 's2'))).toEqual(['done'])
    log.apply(end(annsSlot, 2, true))
    expect(log.owner(annsSlot)).toBe('s2')
    expect(log.apply(move(annsSlot, 's1'), pin(neighbour, 's1'))).toEqual(['pinned', 'pinned'])
    expect(log.apply(pin(ann, 's1'))).toEqual(['pinned'])
    expect(log.table).toMatchObject({ epoch: 3, moves: [] })
  })

  it('let go without moving anything; the last one of a slot lets it move', () => {
    const log = new ArbiterLog(first)
    log.apply(pin(ann, 's2'), pin(neighbour, 's2'))
    expect(log.table.pins).toHaveLength(2)
    log.apply(end(annsSlot, 2, true))
    expect(log.apply(unpin(ann), move(annsSlot, 's1'))).toEqual(['done', 'pinned'])
    expect(log.apply(unpin(neighbour), move(annsSlot, 's1'))).toEqual(['done', 'done'])
    expect(log.table).toMatchObject({ pins: [], moves: [{ slot: annsSlot, to: 's1' }] })
    const { epoch } = log.table
    expect(log.apply(unpin(ann))).toEqual(['done'])
    expect(log.table.epoch).toBe(epoch)
  })

  it('are refused for sets and names that are none, and while the slot goes elsewhere', () => {
    const log = new ArbiterLog(first)
    log.apply(move(annsSlot, 's3'))
    expect(log.apply(pin(ann, 's2'), pin(ann, 's9'))).toEqual(['moving', 'unknownSet'])
    expect(log.apply(pin('', 's2'), pin('a\nb', 's2'))).toEqual(['malformed', 'malformed'])
    expect(log.apply(pin(ann, 's3'))).toEqual(['done'])
    expect(log.table.moves).toEqual([{ slot: annsSlot, to: 's3', epoch: 2 }])
  })

  it('and moves never contradict each other, whatever is asked for in whatever order', () => {
    const uid = fc.constantFrom(...users.slice(0, 12), 'acme-ann', 'acme-bob')
    const set = fc.constantFrom('s1', 's2', 's3')
    const slot = fc.nat(slotCount - 1)
    const command = fc.oneof(
      fc.tuple(uid, set).map(([name, to]) => pin(name, to)),
      uid.map(unpin),
      set.map(to => pinTenant('acme', to)),
      fc.constant(unpinTenant('acme')),
      fc.tuple(slot, set).map(([one, to]) => move(one, to)),
      fc.tuple(slot, fc.integer({ min: 1, max: 12 }), fc.boolean()).map(args => end(...args))
    )
    const entries = fc.array(fc.array(command, { minLength: 1, maxLength: 3 }), { maxLength: 12 })
    fc.assert(
      fc.property(entries, list => {
        const log = new ArbiterLog(first)
        for (const entry of list) {
          log.apply(...entry)
          const { table } = log
          const pinned = pinnedSlots(table)
          for (const one of table.moves) expect(pinned.get(one.slot) ?? one.to).toBe(one.to)
          for (const { match, value, setId } of table.pins) {
            const slots = match === 'tenant' ? acme : [slotOf(value)]
            for (const held of slots) expect(pinned.get(held)).toBe(setId)
          }
          expect(decodeTable(encodeTable(table)).tenants).toEqual(first.tenants)
        }
      }),
      { numRuns: 200 }
    )
  })
})

describe('pins of tenants', () => {
  it('send all slots of the tenant to their set in one entry, and hold them there', () => {
    const log = new ArbiterLog(first)
    expect(first.tenants).toEqual([{ id: 'acme', prefix: 'acme-', first: 12, count: 4 }])
    const away = acme.filter(slot => log.owner(slot) !== 's2')
    expect(away.length).toBeGreaterThan(1)
    expect(log.apply(pinTenant('acme', 's2'))).toEqual(['done'])
    const held = { match: 'tenant', value: 'acme', setId: 's2' }
    expect(log.table).toMatchObject({ epoch: 2, pins: [held] })
    expect(log.table.moves).toEqual(away.map(slot => ({ slot, to: 's2', epoch: 2 })))
    log.apply(...away.map(slot => end(slot, 2, slot !== away[0])))
    expect(log.apply(pinTenant('acme', 's2'))).toEqual(['done'])
    expect(log.table).toMatchObject({
      pins: [held],
      moves: [{ slot: away[0], to: 's2', epoch: 4 }]
    })
    log.apply(end(away[0]!, 4, true))
    for (const slot of acme) {
      expect(log.owner(slot)).toBe('s2')
      expect(log.apply(move(slot, 's1'))).toEqual(['pinned'])
    }
    expect(log.apply(pin('acme-ann', 's1'), pinTenant('acme', 's1'))).toEqual(['pinned', 'pinned'])
    expect(log.apply(pin('acme-ann', 's2'), unpinTenant('acme'))).toEqual(['done', 'done'])
    const anns = slotOf('acme-ann')
    for (const slot of acme) {
      expect(log.apply(move(slot, 's1'))).toEqual([slot === anns ? 'pinned' : 'done'])
    }
  })

  it('are refused for no tenant, for no set, and while one of the slots is held or goes elsewhere', () => {
    const log = new ArbiterLog(first)
    const nowhere = [pinTenant('acme', 's9'), pinTenant('acme-', 's1'), unpinTenant('acme')]
    expect(log.apply(...nowhere)).toEqual(['unknownSet', 'unknownTenant', 'done'])
    const [slot] = acme.filter(one => log.owner(one) !== 's3') as [number]
    log.apply(move(slot, 's3'))
    expect(log.apply(pinTenant('acme', log.owner(slot)))).toEqual(['moving'])
    log.apply(end(slot, 2, false), pin('acme-ann', 's3'))
    expect(log.apply(pinTenant('acme', 's1'))).toEqual(['pinned'])
    expect(log.table.pins).toHaveLength(1)
    expect(log.apply(pinTenant('acme', 's3'))).toEqual(['done'])
    expect(log.table.pins.map(({ match }) => match)).toEqual(['tenant', 'uid'])
  })

  it('leave sets that are to go alone', () => {
    const log = new ArbiterLog(first)
    const drain = (setId: string): ArbiterCommand => {
      const change = { step: 'drain' as const, setId, epoch: 0, zone: '', weight: 0, routers: [] }
      return { type: 'set', change }
    }
    log.apply(pinTenant('acme', 's2'))
    expect(log.apply(drain('s2'), drain('s3'))).toEqual(['pinnedSet', 'done'])
    expect(log.apply(pinTenant('acme', 's3'))).toEqual(['drainingSet'])
  })
})

describe('rules of grey releases', () => {
  it('are set, replaced and undone by one entry each', () => {
    const log = new ArbiterLog(first)
    log.apply(grey('0.3.0'), grey('0.2.0', { uids: ['ann'], prefixes: ['vip-'] }))
    expect(log.table).toMatchObject({ epoch: 2, moves: [] })
    expect(log.table.grey).toEqual([
      rule('0.2.0', { uids: ['ann'], prefixes: ['vip-'] }),
      rule('0.3.0')
    ])
    log.apply(grey('0.2.0', { percent: 0.05 }))
    expect(log.table.grey[0]).toEqual(rule('0.2.0', { percent: 0.05 }))
    log.apply(grey('0.2.0', { percent: 0.05 }))
    expect(log.table.epoch).toBe(3)
    log.apply(ungrey('0.2.0'))
    expect(log.table.grey).toEqual([rule('0.3.0')])
    log.apply(grey('0.4.0'))
    log.apply(ungrey(''))
    expect(log.table).toMatchObject({ epoch: 6, grey: [] })
    expect(log.apply(ungrey(''), ungrey('0.2.0'))).toEqual(['done', 'done'])
    expect(log.table.epoch).toBe(6)
  })

  it('leave the bytes of a table as they were once they are gone', () => {
    const log = new ArbiterLog(first)
    log.apply(grey('0.2.0'))
    log.apply(ungrey(''))
    expect(encodeTable({ ...log.table, epoch: 1 }).equals(encodeTable(first))).toBe(true)
  })

  it('are refused out of bounds', () => {
    const log = new ArbiterLog(first)
    const many = Array.from({ length: tableLimits.greyNames + 1 }, (_, i) => String(i + 1_000))
    expect(
      log.apply(
        grey(''),
        grey('1', { percent: 100.01 }),
        grey('1', { uids: ['b', 'a'] }),
        grey('1', { prefixes: ['a', 'a'] }),
        grey('1', { uids: many.slice(0, 256), prefixes: ['vip-'] })
      )
    ).toEqual(Array(5).fill('malformed'))
    const rules = Array.from({ length: tableLimits.greyRules }, (_, i) => grey(`1.${i}`))
    log.apply(...rules)
    expect(log.apply(grey('2'), grey('1.0', { percent: 7 }))).toEqual(['full', 'done'])
  })
})
