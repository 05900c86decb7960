import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { FaultRecord } from './recovery.ts'
import { ConnectionLog, usersBack } from './users-back.ts'

const fault = (change: Partial<FaultRecord>): FaultRecord => {
  const place = { target: 'transfer of s1', nodes: ['n1'], sets: ['s1'], ledGroups: [] }
  return { action: 'kill', line: 0, ...place, atMs: 100, inForceMs: 100, undoneMs: 500, ...change }
}
const gatewaysOf = (node: string): string[] => (node === 'n1' ? ['t1'] : [])

describe('devices that lose their gateway', () => {
  let nowMs = 0
  let log = new ConnectionLog()
  beforeEach(() => {
    log = new ConnectionLog()
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
  })
  afterEach(() => vi.restoreAllMocks())

  const at = (timeMs: number, device: string, transfer?: string): void => {
    nowMs = timeMs
    if (transfer === undefined) log.lost(device)
    else log.connected(device, transfer)
  }
  const backAfter = (...faults: FaultRecord[]) => usersBack(faults, log.outages, gatewaysOf, 9_000)

  it('count from the fault until they are connected again, to whichever', () => {
    at(1, 'a/d1', 't1')
    at(1, 'b/d1', 't1')
    at(110, 'a/d1')
    at(110, 'b/d1')
    // An attempt that fails is no second loss.
    at(150, 'a/d1')
    at(180, 'a/d1', 't2')
    at(300, 'b/d1', 't1')
    expect(backAfter(fault({}))).toEqual([{ fault: 0, transfer: 't1', ms: [80, 200] }])
  })

  it('count until the end when they never come back', () => {
    at(1, 'a/d1', 't1')
    at(110, 'a/d1')
    expect(backAfter(fault({}))).toEqual([{ fault: 0, transfer: 't1', ms: [8_900] }])
  })

  it('are not counted when they go by themselves before they are back', () => {
    at(1, 'a/d1', 't1')
    at(110, 'a/d1')
    nowMs = 130
    log.left('a/d1')
    expect(backAfter(fault({}))).toEqual([])
  })

  it('count also when they notice after the fault is over, if they had it before', () => {
    at(1, 'a/d1', 't1')
    at(1, 'b/d1', 't1')
    at(600, 'a/d1')
    at(700, 'a/d1', 't2')
    expect(backAfter(fault({}))).toEqual([{ fault: 0, transfer: 't1', ms: [600] }])
    // Whom the next fault hits belongs to that.
    at(1_100, 'b/d1')
    at(1_150, 'b/d1', 't2')
    const next = fault({ atMs: 1_000, undoneMs: 1_400 })
    expect(backAfter(fault({}), next).map(({ ms }) => ms)).toEqual([[600], [150]])
    const elsewhere = fault({ atMs: 1_000, nodes: ['n2'] })
    expect(backAfter(fault({}), elsewhere).map(({ ms }) => ms)).toEqual([[600, 1_050]])
  })

  it('are not those that go by themselves, had another gateway, or lost it at another time', () => {
    at(1, 'a/d1', 't1')
    log.left('a/d1')
    at(110, 'a/d1')
    at(1, 'b/d1', 't2')
    at(110, 'b/d1')
    at(1, 'c/d1', 't1')
    at(99, 'c/d1')
    at(1, 'd/d1', 't1')
    at(300, 'e/d1', 't1')
    at(600, 'e/d1')
    at(5_501, 'd/d1')
    expect(backAfter(fault({}))).toEqual([])
  })

  it('say nothing of what operators do, and belong to each fault that was under way', () => {
    at(1, 'a/d1', 't1')
    at(110, 'a/d1')
    at(200, 'a/d1', 't2')
    const faults = [fault({ action: 'drain' }), fault({ action: 'slowDisk' }), fault({ atMs: 50 })]
    expect(backAfter(...faults)).toEqual([{ fault: 2, transfer: 't1', ms: [150] }])
    expect(backAfter(fault({ nodes: ['n2'] }))).toEqual([])
    expect(backAfter(fault({ undoneMs: 0 }))).toHaveLength(1)
  })
})
