import { describe, expect, it } from 'vitest'
import { until } from '../../test/support/until.ts'
import { RingsetError } from '../base/errors.ts'
import type { NodeSight } from '../control/control-source.ts'
import { WatchResponse } from '../gen/ringset/control/v1/control.ts'
import type { DrillCluster } from './arena.ts'
import { ClusterWatch } from './cluster-watch.ts'
import { HistoryRecorder } from './history-recorder.ts'

/** Nodes that answer with what stands in `nodes`. */
function setUp() {
  const nodes = new Map([['a', { pid: 1, epoch: 3 }]])
  const asked: string[] = []
  const cluster = {
    get config() {
      return { nodes: [...nodes.keys()].map(id => ({ id, roles: [] })) }
    },
    node: (id: string) => ({
      // A connection that breaks after each sight: whoever watches comes back.
      watch: async (
        _everyMs: number,
        _signal: AbortSignal,
        onSight: (sight: NodeSight) => void
      ) => {
        asked.push(id)
        onSight(WatchResponse.fromPartial(nodes.get(id)!))
        throw new RingsetError('CANCELLED')
      }
    })
  } as unknown as DrillCluster
  const watch = new ClusterWatch(cluster, new HistoryRecorder())
  const seen = () =>
    watch.sights.map(({ node, pid, epochs }) => [node, pid, ...epochs.map(one => one.epoch)])
  return { nodes, asked, watch, seen }
}

describe('the watch over a cluster', () => {
  it('sees nodes that come, and leaves those alone that have gone', async () => {
    const { nodes, asked, watch, seen } = setUp()
    await until('the first node is seen', () => seen().length === 1)
    nodes.set('b', { pid: 2, epoch: 4 })
    await until('the second node is seen', () => seen().length === 2)
    nodes.delete('a')
    asked.length = 0
    await until('the second node is asked again and again', () => asked.length > 10)
    await watch.end()
    expect(asked).not.toContain('a')
    expect(seen()).toEqual([
      ['a', 1, 3],
      ['b', 2, 4]
    ])
    expect(watch.nodes.map(({ id }) => id)).toEqual(['a', 'b'])
    expect(watch.epochChanges.map(({ epoch }) => epoch)).toEqual([3, 4])
  })

  it('takes a node that was started again for another process', async () => {
    const { nodes, watch, seen } = setUp()
    await until('the node is seen', () => seen().length === 1)
    nodes.set('a', { pid: 1, epoch: 5 })
    await until('its newer table is seen', () => seen()[0]!.length === 4)
    nodes.set('a', { pid: 7, epoch: 5 })
    await until('its new process is seen', () => seen().length === 2)
    await watch.end()
    expect(seen()).toEqual([
      ['a', 1, 3, 5],
      ['a', 7, 5]
    ])
    const [, five] = watch.sights[0]!.epochs
    expect(five!.atMs).toBeGreaterThan(five!.beforeMs)
  })
})
