import { describe, expect, it } from 'vitest'
import { MapRows } from '../../test/support/map-rows.ts'
import { ownersOf, slotEpochsOf } from '../table/runs.ts'
import type { RoutingTable } from '../table/table.ts'
import { decodeTable, encodeTable } from '../table/table-codec.ts'
import { type ArbiterCommand, encodeCommands } from './arbiter-commands.ts'
import { ArbiterMachine, type ArbiterResult } from './arbiter-machine.ts'
import { firstTable } from './first-table.ts'

const sets = ['s1', 's2'].map(id => {
  const routers = [{ replicaId: 1, nodeId: `${id}-a`, address: '' }]
  return { id, zone: 'default', weight: 1, routers }
})
const first = firstTable({ clusterId: '0a0000000001', slotCount: 16, sets }, [])
const mine = ownersOf(first.runs).indexOf('s1')
const others = ownersOf(first.runs).indexOf('s2')

class Log {
  readonly #machine = new ArbiterMachine()
  readonly #rows = new MapRows()
  #index = 0

  constructor() {
    this.apply({ type: 'bootstrap', table: encodeTable(first) })
  }

  apply(...commands: ArbiterCommand[]): ArbiterResult[] {
    return this.#machine.apply(++this.#index, encodeCommands(commands), this.#rows)
  }

  get table(): RoutingTable {
    return decodeTable(this.#rows.get('table')!)
  }

  owner(slot: number): string {
    return `${ownersOf(this.table.runs)[slot]} since ${slotEpochsOf(this.table.runs)[slot]}`
  }
}

const move = (slot: number, to: string): ArbiterCommand => ({ type: 'move', slot, to })
const end = (slot: number, epoch: number, done: boolean): ArbiterCommand => {
  return { type: 'endMove', slot, epoch, done }
}

describe('moves of slots', () => {
  it('begin under the epoch that they make, and change the owner only when they end', () => {
    const log = new Log()
    expect(log.apply(move(mine, 's2'))).toEqual(['done'])
    expect(log.table.moves).toEqual([{ slot: mine, to: 's2', epoch: 2 }])
    expect(log.owner(mine)).toBe('s1 since 1')
    expect(log.apply(end(mine, 2, true))).toEqual(['done'])
    expect(log.table).toMatchObject({ epoch: 3, moves: [] })
    expect(log.owner(mine)).toBe('s2 since 3')
  })

  it('leave the slot where it is when they are called off, under the same slotEpoch', () => {
    const log = new Log()
    log.apply(move(mine, 's2'))
    log.apply(end(mine, 2, false))
    expect(log.table).toMatchObject({ epoch: 3, moves: [] })
    expect(log.owner(mine)).toBe('s1 since 1')
  })

  it('end once: whichever of completion and abort is logged first counts', () => {
    const log = new Log()
    log.apply(move(mine, 's2'))
    expect(log.apply(end(mine, 2, false), end(mine, 2, true))).toEqual(['done', 'done'])
    expect(log.owner(mine)).toBe('s1 since 1')
    const { epoch } = log.table
    log.apply(end(mine, 2, true))
    expect(log.table.epoch).toBe(epoch)
  })

  it('are not ended by the end of an earlier move of the slot', () => {
    const log = new Log()
    log.apply(move(mine, 's2'))
    log.apply(end(mine, 2, false))
    log.apply(move(mine, 's2'))
    log.apply(end(mine, 2, true))
    expect(log.table.moves).toEqual([{ slot: mine, to: 's2', epoch: 4 }])
    expect(log.owner(mine)).toBe('s1 since 1')
  })

  it('are refused for sets and slots that are not there, and for slots on their way elsewhere', () => {
    const log = new Log()
    const asked = [move(mine, 's3'), move(16, 's2'), move(mine, 's1'), move(mine, 's2')]
    expect(log.apply(...asked)).toEqual(['unknownSet', 'unknownSlot', 'done', 'done'])
    const again = [move(mine, 's2'), move(mine, 's1'), move(others, 's1')]
    expect(log.apply(...again)).toEqual(['done', 'moving', 'done'])
    expect(log.table.moves.map(({ slot }) => slot)).toEqual([mine, others].sort((a, b) => a - b))
  })

  it('that begin and end together share an epoch', () => {
    const log = new Log()
    log.apply(move(mine, 's2'), move(others, 's1'))
    expect(log.table.epoch).toBe(2)
    log.apply(end(mine, 2, true), end(others, 2, true))
    expect(log.table.epoch).toBe(3)
    expect([log.owner(mine), log.owner(others)]).toEqual(['s2 since 3', 's1 since 3'])
  })
})
