import { describe, expect, it } from 'vitest'
import { ArbiterLog, end, move } from '../../test/support/arbiter-log.ts'
import { ownersOf } from '../table/runs.ts'
import { firstTable } from './first-table.ts'

const sets = ['s1', 's2'].map(id => {
  const routers = [{ replicaId: 1, nodeId: `${id}-a`, address: '' }]
  return { id, zone: 'default', weight: 1, routers }
})
const first = firstTable({ clusterId: '0a0000000001', slotCount: 16, sets }, [])
const mine = ownersOf(first.runs).indexOf('s1')
const others = ownersOf(first.runs).indexOf('s2')

describe('moves of slots', () => {
  it('begin under the epoch that they make, and change the owner only when they end', () => {
    const log = new ArbiterLog(first)
    expect(log.apply(move(mine, 's2'))).toEqual(['done'])
    expect(log.table.moves).toEqual([{ slot: mine, to: 's2', epoch: 2 }])
    expect(log.ownership(mine)).toBe('s1 since 1')
    expect(log.apply(end(mine, 2, true))).toEqual(['done'])
    expect(log.table).toMatchObject({ epoch: 3, moves: [] })
    expect(log.ownership(mine)).toBe('s2 since 3')
  })

  it('leave the slot where it is when they are called off, under the same slotEpoch', () => {
    const log = new ArbiterLog(first)
    log.apply(move(mine, 's2'))
    log.apply(end(mine, 2, false))
    expect(log.table).toMatchObject({ epoch: 3, moves: [] })
    expect(log.ownership(mine)).toBe('s1 since 1')
  })

  it('end once: whichever of completion and abort is logged first counts', () => {
    const log = new ArbiterLog(first)
    log.apply(move(mine, 's2'))
    expect(log.apply(end(mine, 2, false), end(mine, 2, true))).toEqual(['done', 'done'])
    expect(log.ownership(mine)).toBe('s1 since 1')
    const { epoch } = log.table
    log.apply(end(mine, 2, true))
    expect(log.table.epoch).toBe(epoch)
  })

  it('are not ended by the end of an earlier move of the slot', () => {
    const log = new ArbiterLog(first)
    log.apply(move(mine, 's2'))
    log.apply(end(mine, 2, false))
    log.apply(move(mine, 's2'))
    log.apply(end(mine, 2, true))
    expect(log.table.moves).toEqual([{ slot: mine, to: 's2', epoch: 4 }])
    expect(log.ownership(mine)).toBe('s1 since 1')
  })

  it('are refused for sets and slots that are not there, and for slots on their way elsewhere', () => {
    const log = new ArbiterLog(first)
    const asked = [move(mine, 's3'), move(16, 's2'), move(mine, 's1'), move(mine, 's2')]
    expect(log.apply(...asked)).toEqual(['unknownSet', 'unknownSlot', 'done', 'done'])
    const again = [move(mine, 's2'), move(mine, 's1'), move(others, 's1')]
    expect(log.apply(...again)).toEqual(['done', 'moving', 'done'])
    expect(log.table.moves.map(({ slot }) => slot)).toEqual([mine, others].sort((a, b) => a - b))
  })

  it('that begin and end together share an epoch', () => {
    const log = new ArbiterLog(first)
    log.apply(move(mine, 's2'), move(others, 's1'))
    expect(log.table.epoch).toBe(2)
    log.apply(end(mine, 2, true), end(others, 2, true))
    expect(log.table.epoch).toBe(3)
    expect([log.ownership(mine), log.ownership(others)]).toEqual(['s2 since 3', 's1 since 3'])
  })
})
