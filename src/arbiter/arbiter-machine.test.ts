import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MapRows } from '../../test/support/map-rows.ts'
import type { Rows } from '../raft/state-machine.ts'
import { decodeTable, encodeTable } from '../table/table-codec.ts'
import { type AnnouncedProcess, type ArbiterCommand, encodeCommands } from './arbiter-commands.ts'
import { ArbiterMachine, tableRow } from './arbiter-machine.ts'
import { firstTable } from './first-table.ts'
import { bootIdOf, endpointOf, knownProcesses } from './processes.ts'

const routers = [1, 2, 3].map(replicaId => ({ replicaId, nodeId: `n${replicaId}`, address: '' }))
const sets = ['s1', 's2'].map(id => ({ id, zone: 'default', weight: 1, routers }))
const bootstrap: ArbiterCommand = {
  type: 'bootstrap',
  table: encodeTable(firstTable({ clusterId: '0a0000000001', slotCount: 16, sets }, []))
}

function announce(change: Partial<AnnouncedProcess>): ArbiterCommand & { type: 'announce' } {
  const process: AnnouncedProcess = {
    role: 'transfer',
    id: 't1',
    setId: 's1',
    nodeId: 'n1',
    bootId: 11,
    address: '10.0.0.1:7000',
    clientAddresses: [],
    version: '0.1.0',
    stopping: false,
    ...change
  }
  const forRole = process.role === 'transfer' ? ['tcp://10.0.0.1:7100'] : []
  return { type: 'announce', process: { ...process, clientAddresses: forRole } }
}

function down(command: ArbiterCommand & { type: 'announce' }): ArbiterCommand {
  const { process } = command
  return { type: 'down', endpoint: endpointOf(process), bootId: process.bootId }
}

class Harness {
  readonly #rows = new MapRows()
  readonly rows = this.#rows.map
  machine = new ArbiterMachine()
  #index = 0

  apply(...commands: ArbiterCommand[]): unknown[] {
    return this.machine.apply(++this.#index, encodeCommands(commands), this.#rows)
  }

  get table() {
    return decodeTable(this.rows.get(tableRow)!)
  }

  state(endpoint: string) {
    return knownProcesses(this.table).find(known => known.endpoint === endpoint)
  }
}

function started(): Harness {
  const harness = new Harness()
  harness.apply(bootstrap)
  return harness
}

const process = fc
  .record({
    role: fc.constantFrom('transfer' as const, 'logic' as const, 'router' as const),
    name: fc.constantFrom('1', '2', '9'),
    setId: fc.constantFrom('s1', 's2', 's3'),
    bootId: fc.integer({ min: 0, max: 3 }),
    address: fc.constantFrom('a:1', 'b:1'),
    stopping: fc.boolean()
  })
  .map(({ role, name, ...rest }) =>
    announce({ ...rest, role, id: role === 'router' ? `${rest.setId}/${name}` : name })
  )
const command = fc.oneof(process, process.map(down), fc.constant(bootstrap))
const entries = fc.array(fc.array(command, { maxLength: 4 }), { maxLength: 25 })

describe('arbiter machine', () => {
  it('starts a cluster once, with epoch 1', () => {
    const harness = started()
    expect(harness.table.epoch).toBe(1)
    expect(harness.state('router/s1/2')).toMatchObject({
      endpoint: 'router/s1/2',
      bootId: 0,
      state: 'down'
    })
    const other = encodeTable(firstTable({ clusterId: '0b0000000001', slotCount: 32, sets }, []))
    expect(harness.apply({ type: 'bootstrap', table: other })).toEqual(['done'])
    expect([harness.table.epoch, harness.table.clusterId]).toEqual([1, '0a0000000001'])
  })

  it('gives two registrations of one instant two epochs, each with all that came before', () => {
    const harness = started()
    harness.apply(announce({ id: 't1' }))
    const first = harness.table
    harness.apply(announce({ id: 't2' }))
    const second = harness.table
    expect([first.epoch, second.epoch]).toEqual([2, 3])
    expect(first.sets[0]!.transfers.map(entry => entry.id)).toEqual(['t1'])
    expect(second.sets[0]!.transfers.map(entry => entry.id)).toEqual(['t1', 't2'])
  })

  it('gives one entry one epoch and each of its commands a result', () => {
    const harness = started()
    const results = harness.apply(
      announce({ id: 't1' }),
      announce({ id: 't2', setId: 's9' }),
      announce({ role: 'router', id: 's1/7' }),
      announce({ id: 't3', bootId: 0 }),
      announce({ role: 'logic', id: 'l1' })
    )
    expect(results).toEqual(['done', 'unknownSet', 'unknownReplica', 'malformed', 'done'])
    expect(harness.table.epoch).toBe(2)
  })

  it('makes no epoch where nothing changes', () => {
    const harness = started()
    harness.apply(announce({}))
    const bytes = harness.rows.get(tableRow)
    expect(harness.apply(announce({}))).toEqual(['done'])
    expect(harness.apply(announce({ setId: 's9' }))).toEqual(['unknownSet'])
    expect(harness.apply(down(announce({})), announce({}))).toEqual(['done', 'done'])
    expect(harness.apply()).toEqual([])
    expect(harness.rows.get(tableRow)).toBe(bytes)
  })

  it('answers everything before the first table with noTable', () => {
    const harness = new Harness()
    expect(harness.apply(announce({}), down(announce({})))).toEqual(['noTable', 'noTable'])
    expect(harness.rows.size).toBe(0)
  })

  it('marks a process down only under the boot id that was seen to be gone', () => {
    const harness = started()
    harness.apply(announce({ bootId: 11 }))
    harness.apply(announce({ bootId: 12 }))
    harness.apply(down(announce({ bootId: 11 })))
    expect(harness.state('transfer/t1')).toMatchObject({ bootId: 12, state: 'up' })
    harness.apply(down(announce({ bootId: 12 })))
    expect(harness.state('transfer/t1')).toMatchObject({ bootId: 12, state: 'down' })
  })

  it('never takes an earlier start of a process for the newest', () => {
    const harness = started()
    for (const bootId of [11, 12, 13]) harness.apply(announce({ bootId }))
    expect(harness.apply(announce({ bootId: 11 }))).toEqual(['replaced'])
    expect(harness.apply(announce({ bootId: 12 }))).toEqual(['replaced'])
    expect(harness.state('transfer/t1')).toMatchObject({ bootId: 13 })
  })

  it('lets a process that leaves drain (transfer, logic) or be down (router)', () => {
    const harness = started()
    const router = announce({ role: 'router', id: 's1/1', stopping: true })
    harness.apply(announce({ stopping: true }), router)
    expect(harness.state('transfer/t1')).toMatchObject({ state: 'draining' })
    expect(harness.state('router/s1/1')).toMatchObject({ state: 'down', bootId: 11 })
  })

  it('moves a process that comes back for another set', () => {
    const harness = started()
    harness.apply(announce({ setId: 's1' }))
    harness.apply(announce({ setId: 's2', bootId: 12 }))
    const ids = harness.table.sets.map(set => set.transfers.map(entry => entry.id))
    expect(ids).toEqual([[], ['t1']])
    expect(harness.apply(announce({ setId: 's1', bootId: 11 }))).toEqual(['replaced'])
    const known = announce({ setId: 's1', bootId: 12 }).process
    expect(bootIdOf(harness.table, known)).toBe(12)
  })

  it('is the same on every replica, and after any restart; epochs only rise, by one', () => {
    fc.assert(
      fc.property(entries, fc.nat(), (list, restartAt) => {
        const one = started()
        const two = started()
        let epoch = 1
        for (const [i, commands] of list.entries()) {
          if (i === restartAt % list.length) two.machine = new ArbiterMachine()
          if (i % 3 === 0) two.machine.reset()
          const before = one.rows.get(tableRow)!
          expect(two.apply(...commands)).toEqual(one.apply(...commands))
          const changed = !one.rows.get(tableRow)!.equals(before)
          epoch += changed ? 1 : 0
          expect(one.table.epoch).toBe(epoch)
        }
        expect([...two.rows]).toEqual([...one.rows])
      }),
      { numRuns: 200 }
    )
  })

  it('never changes the owner of a slot, whatever is announced', () => {
    fc.assert(
      fc.property(entries, list => {
        const harness = started()
        const { runs } = harness.table
        for (const commands of list) harness.apply(...commands)
        expect(harness.table.runs).toEqual(runs)
      })
    )
  })

  it('stops at an entry it cannot read: another one would be applied differently elsewhere', () => {
    const harness = started()
    const rows: Rows = { get: key => harness.rows.get(key), put() {}, add() {}, delete() {} }
    for (const hex of ['', '02', '0101ff', '010000']) {
      expect(() => harness.machine.apply(2, Buffer.from(hex, 'hex'), rows)).toThrow()
    }
  })
})
