import { expect, it } from 'vitest'
import { ReplicaGroup } from '../../test/support/replica-group.ts'

const intervalMs = 50

it('groups of one process send their heartbeats in the same turns, whenever they were elected', () => {
  const untilMs = 20_000
  const times = [1, 2, 3, 4, 5, 6].map(seed => {
    const group = new ReplicaGroup({ seed })
    group.pass(70 * seed)
    const { id } = group.leader()
    group.pass(untilMs - group.nowMs)
    const sent: number[] = []
    group.lose = ({ type, from }) => {
      if (type === 'heartbeat' && from === id) sent.push(group.nowMs)
      return false
    }
    group.pass(1_000)
    return sent
  })
  // To two followers each, no more and no fewer than one an interval.
  expect(times[0]).toHaveLength((2 * 1_000) / intervalMs)
  expect(new Set(times[0]).size).toBe(1_000 / intervalMs)
  for (const sent of times) expect(sent).toEqual(times[0])
})
