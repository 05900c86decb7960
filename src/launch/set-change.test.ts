import { expect, it } from 'vitest'
import { parseConfig } from '../config/config.ts'
import type { RunningCluster } from './running-cluster.ts'
import { startSet } from './set-change.ts'

const config = parseConfig({
  cluster: { name: 'c' },
  sets: [{ id: 's1' }],
  nodes: [1, 2, 3].map(replica => ({
    id: `n${replica}`,
    peerPort: 10 * replica + 1,
    controlPort: 10 * replica + 2,
    roles: [
      { role: 'arbiter' as const, replica },
      { role: 'router' as const, set: 's1', replica },
      { role: 'transfer' as const, id: `t${replica}`, set: 's1', tcpPort: 10 * replica + 3 },
      { role: 'logic' as const, id: `l${replica}`, set: 's1' }
    ]
  }))
})

it('starts those nodes of a set that do not run, one after the other', async () => {
  const seen: string[] = []
  const cluster = {
    config,
    isRunning: (id: string) => id === 'n2',
    startNode: async (id: string) => {
      seen.push(`${id} starts`)
      await new Promise(resolve => setImmediate(resolve))
      seen.push(`${id} runs`)
    }
  }
  await startSet(cluster as unknown as RunningCluster, 's1')
  expect(seen).toEqual(['n1 starts', 'n1 runs', 'n3 starts', 'n3 runs'])
})
