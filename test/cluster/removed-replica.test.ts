import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { dataFolder } from '../../src/config/data-folder.ts'
import type { ChangeReport } from '../../src/control/replica-operator.ts'
import { eventually } from '../support/eventually.ts'
import { withOneSet } from '../support/one-set.ts'

interface RouterGroup {
  readonly term: number
  readonly leader: string
  readonly replicas: readonly { id: number; node: string; role: string }[]
}

describe('a replica that was removed while it was away', () => {
  const set = withOneSet()

  async function group(): Promise<RouterGroup> {
    const { sets } = await set.ringset.json<{ sets: { router: RouterGroup }[] }>('status')
    return sets[0]!.router
  }

  const folderOf = (nodeId: string) => dataFolder(set.cluster.directory).nodeFolder(nodeId)

  /** How often each start of the node has said that it was removed. */
  function toldPerStart(nodeId: string): number[] {
    const log = readFileSync(join(folderOf(nodeId), 'node.log'), 'utf8')
    const starts = log.split('"router_started"').slice(1)
    return starts.map(part => part.split('"replica_removed"').length - 1)
  }

  it('learns of it, disturbs nobody, and stays out at every later start', async () => {
    const [ann, bob] = (await set.cluster.usersOf('s1', 2)) as [string, string]
    const client = set.cluster.client(ann)
    await client.connect()
    const before = await group()
    const gone = before.replicas.find(({ role }) => role === 'follower')!
    await client.sendText(bob, 'with all')
    await set.cluster.cluster.killNode(gone.node)
    const removed = await set.ringset.json<ChangeReport>('router', 'remove', 's1', String(gone.id))
    expect(removed).toMatchObject({ changed: true })
    await client.sendText(bob, 'without it')

    for (const start of [1, 2, 3]) {
      // At the last start it does not even have the table, and takes itself for a member until somebody tells it.
      if (start === 3) rmSync(join(folderOf(gone.node), 'table.bin'))
      await set.cluster.cluster.startNode(gone.node)
      await eventually(`it knows at start ${start}`, 20_000, () => {
        return toldPerStart(gone.node).at(-1) === 1 && toldPerStart(gone.node).length === start + 1
      })
      await client.sendText(bob, `while it is there for the ${start}. time`)
      const now = await group()
      expect(now.replicas.find(({ id }) => id === gone.id)?.role).toBe('removed')
      expect({ term: now.term, leader: now.leader }).toEqual({
        term: before.term,
        leader: before.leader
      })
      const { code, stderr } = await set.ringset.run(
        ...['router', 'add', 's1', '--node', gone.node, '--json']
      )
      expect(code).toBe(1)
      expect(stderr).toContain('REPLICA_USED')
      await set.cluster.cluster.killNode(gone.node)
    }
    expect(toldPerStart(gone.node)).toEqual([0, 1, 1, 1])
    expect((await client.sendText(bob, 'at the end')).msgid).toBe(6)
  })
})
