import { createServer, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseConfig } from '../config/config.ts'
import type { NodeConfig } from '../config/schema.ts'
import { wholeClusterConfig } from '../launch/whole-cluster.ts'
import { ports } from './port-checks.ts'

const none: ReadonlySet<string> = new Set()
let node: NodeConfig
let server: Server

/** One node; another program listens on its peer port. */
beforeAll(async () => {
  const { nodes } = parseConfig(await wholeClusterConfig(['s1']))
  node = nodes.find(({ id }) => id === 's1-c')!
  server = createServer().listen(node.peerPort, node.host)
  await new Promise(resolve => server.once('listening', resolve))
})
afterAll(() => server.close())

describe('ports', () => {
  it('of a node that does not run must be free', async () => {
    const [found, ...more] = await ports([node], none, none)
    expect(more).toEqual([])
    expect(found).toMatchObject({ level: 'fail', text: expect.stringContaining('is in use') })
    expect(found!.text).toContain(`:${node.peerPort} for nodes of node s1-c`)
  })

  it('of a node that answers must take connections', async () => {
    const [found, ...more] = await ports([node], new Set(['s1-c']), none)
    expect(more).toEqual([])
    expect(found).toMatchObject({ level: 'fail', text: expect.stringContaining('no connection') })
    expect(found!.text).toContain(`:${node.controlPort} for control`)
  })

  it('of a node that lives and does not answer, or is elsewhere, say nothing', async () => {
    const far = { ...node, host: '192.0.2.1' }
    expect(await ports([node], none, new Set(['s1-c']))).toMatchObject([{ level: 'ok' }])
    expect(await ports([far], none, none)).toMatchObject([{ level: 'ok' }])
  })
})
