import { describe, expect, it } from 'vitest'
import type { NodeSights } from './cluster-watch.ts'
import { memoryOver, tableSpreads } from './table-spread.ts'

const sights = (
  node: string,
  epochs: readonly (readonly [atMs: number, epoch: number])[],
  lastMs = 10_000
): NodeSights => {
  const seen = epochs.map(([atMs, epoch]) => ({ atMs, epoch, beforeMs: atMs - 50 }))
  return { node, pid: 1, epochs: seen, memory: [], lastMs }
}
const epochs = [
  { atMs: 100, epoch: 2 },
  { atMs: 200, epoch: 4 }
]

describe('how long a table takes to be everywhere', () => {
  const first = sights('a', [
    [0, 1],
    [100, 2],
    [200, 4]
  ])

  it('counts from the first node that has it to the last, whether or not that was seen with it itself', () => {
    const second = sights('b', [
      [10, 1],
      [150, 3],
      [290, 5]
    ])
    expect(tableSpreads(epochs, [first, second], 1_000)).toEqual([
      { epoch: 2, ms: 50, node: 'b' },
      { epoch: 4, ms: 90, node: 'b' }
    ])
  })

  it('leaves out nodes that came later, and those that were soon gone', () => {
    const late = sights('b', [[201, 4]])
    const gone = sights('c', [[0, 1]], 900)
    const spreads = tableSpreads(epochs, [first, late, gone], 1_000)
    expect(spreads.map(({ ms }) => ms)).toEqual([0, 0])
  })

  it('leaves out those that said nothing meanwhile', () => {
    const silent = sights('b', [
      [0, 1],
      [3_000, 4]
    ])
    silent.epochs[1] = { atMs: 3_000, epoch: 4, beforeMs: 150 }
    expect(tableSpreads(epochs, [first, silent], 1_000).map(({ ms }) => ms)).toEqual([0, 0])
    const late = {
      ...silent,
      epochs: [silent.epochs[0]!, { ...silent.epochs[1]!, beforeMs: 2_900 }]
    }
    expect(tableSpreads(epochs, [first, late], 1_000).map(({ ms }) => ms)).toEqual([2_900, 2_800])
  })

  it('is not known of a node that answers and never has it', () => {
    const stuck = sights('b', [
      [0, 1],
      [180, 2]
    ])
    const slow = sights('c', [
      [0, 1],
      [500, 4]
    ])
    expect(tableSpreads(epochs, [first, stuck, slow], 1_000)).toEqual([
      { epoch: 2, ms: 400, node: 'c' },
      { epoch: 4, ms: null, node: 'b' }
    ])
  })
})

describe('the memory of nodes', () => {
  const memory = (...seen: (readonly [atMs: number, rssBytes: number])[]): NodeSights => {
    const all = seen.map(([atMs, rssBytes]) => ({ atMs, rssBytes }))
    return { node: '', pid: 1, epochs: [], memory: all, lastMs: 0 }
  }

  it('is compared for those that were there in both quarters', () => {
    const whole = memory([1_000, 5], [26_000, 10], [49_000, 20], [60_000, 70], [76_000, 40])
    const came = memory([60_000, 100], [80_000, 100])
    const went = memory([26_000, 1_000], [70_000, 1_000])
    const found = memoryOver([whole, came, went, whole], 0, 100_000)
    expect(found).toEqual({ nodes: 2, beforeBytes: 30, endBytes: 80 })
    expect(memoryOver([came, went], 0, 100_000)).toBeNull()
  })
})
