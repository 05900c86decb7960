import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { dataFolder } from '../../src/config/data-folder.ts'
import type { ClusterConfigInput } from '../../src/config/schema.ts'
import { eventually } from '../support/eventually.ts'
import { withOneSet } from '../support/one-set.ts'

/** The most that may be configured: any disk counts as nearly full below it. */
const reserveBytes = 2 ** 40

describe('a set two of whose disks are nearly full', () => {
  const set = withOneSet()

  /** Starts a node anew as one whose disk is nearly full. */
  async function fill(nodeId: string): Promise<void> {
    await set.cluster.cluster.killNode(nodeId)
    const { configFile } = dataFolder(set.cluster.directory)
    const text = readFileSync(configFile, 'utf8')
    const config = JSON.parse(text) as ClusterConfigInput
    writeFileSync(configFile, JSON.stringify({ ...config, storage: { reserveBytes } }))
    await set.cluster.cluster.startNode(nodeId)
    writeFileSync(configFile, text)
    await set.cluster.cluster.waitReady()
    expect(set.cluster.logs([nodeId], 20_000)).toContain('"disk_nearly_full"')
  }

  function replicaOf(nodeId: string): string {
    const { roles } = set.cluster.cluster.config.nodes.find(({ id }) => id === nodeId)!
    return roles.flatMap(role => (role.role === 'router' ? [String(role.replica)] : []))[0]!
  }

  it('is led by the third, whoever is made to lead', async () => {
    const [first, second, roomy] = set.cluster.routerNodes('s1') as [string, string, string]
    await fill(first)
    await fill(second)
    const leads = async () => (await set.cluster.leader('s1')) === roomy
    await eventually('the one with room leads', 20_000, leads)

    const [ann, bob] = (await set.cluster.usersOf('s1', 2)) as [string, string]
    const client = set.cluster.client(ann)
    await client.connect()
    const got: number[] = []
    for (const full of [first, second]) {
      await set.ringset.json('router', 'transfer', 's1', '--to', replicaOf(full))
      await eventually('the one with room leads again', 20_000, leads)
      got.push((await client.sendText(bob, `after ${full}`)).msgid)
    }
    expect(got).toEqual([1, 2])
    const left =
      set.cluster.logs([first, second], 50_000).split('leaders_leave_full_disk').length - 1
    expect(left).toBeGreaterThanOrEqual(2)
  })
})
