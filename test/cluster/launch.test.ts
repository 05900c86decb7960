import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import type { RingsetError } from '../../src/base/errors.ts'
import { dataFolder } from '../../src/config/data-folder.ts'
import type { ClusterConfigInput } from '../../src/config/schema.ts'
import { freePorts } from '../../src/launch/free-ports.ts'
import { openCluster, startCluster } from '../../src/launch/launch.ts'
import type { RunningCluster } from '../../src/launch/running-cluster.ts'

const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
const fakeNode = fileURLToPath(new URL('../support/fake-node.ts', import.meta.url))
const program = ['--import', loader, fakeNode]

const folders: string[] = []
const clusters: RunningCluster[] = []

afterEach(async () => {
  for (const cluster of clusters.splice(0)) {
    await cluster.stopAll({ timeoutMs: 0 })
    cluster.close()
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ringset-launch-'))
  folders.push(folder)
  return folder
}

/** Two nodes: everything on the first, a second router replica on the other. */
async function twoNodes(first: string, second: string): Promise<ClusterConfigInput> {
  const [a, b, c, d, e] = (await freePorts(5)) as [number, number, number, number, number]
  return {
    cluster: { name: 'fake' },
    sets: [{ id: 's1' }],
    nodes: [
      {
        id: first,
        peerPort: a,
        controlPort: b,
        roles: [
          { role: 'arbiter', replica: 1 },
          { role: 'router', set: 's1', replica: 1 },
          { role: 'transfer', id: 't1', set: 's1', tcpPort: e },
          { role: 'logic', id: 'l1', set: 's1' }
        ]
      },
      {
        id: second,
        peerPort: c,
        controlPort: d,
        roles: [{ role: 'router', set: 's1', replica: 2 }]
      }
    ]
  }
}

async function start(config: ClusterConfigInput, dataDirectory: string, timeoutMs = 30_000) {
  const cluster = await startCluster({ config, dataDirectory, program, timeoutMs })
  clusters.push(cluster)
  return cluster
}

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'no error',
    (error: RingsetError) => error.code
  )

describe('launch', () => {
  it('starts, shows, kills, restarts, pauses and stops real processes', async () => {
    const data = freshFolder()
    const config = await twoNodes('n1', 'n2')
    const seen: number[] = []
    const cluster = await startCluster({
      config,
      dataDirectory: data,
      program,
      onProgress: ({ done }) => seen.push(done)
    })
    clusters.push(cluster)
    expect(seen.at(-1)).toBeGreaterThan(seen[0]!)
    expect(statSync(dataFolder(data).secretFile).mode & 0o777).toBe(0o600)
    expect(statSync(dataFolder(data).credentialFile).mode & 0o777).toBe(0o600)

    const status = await cluster.status()
    expect(status.sets[0]).toMatchObject({ id: 's1', state: 'active', router: { leader: 'n1' } })
    expect(await codeOf(start(config, data))).toBe('ALREADY_RUNNING')

    // Another command finds the same processes through the folder alone.
    const other = openCluster(data)
    expect(other.processes()).toEqual(cluster.processes())
    expect(await other.killNode('n2')).toMatchObject({ id: 'n2', how: 'killed' })
    other.close()
    expect([cluster.isRunning('n1'), cluster.isRunning('n2')]).toEqual([true, false])
    expect(await codeOf(cluster.stopNode('n2'))).toBe('NOT_RUNNING')
    expect(await codeOf(cluster.stopNode('n9'))).toBe('NODE_UNKNOWN')

    const before = cluster.processes().find(({ id }) => id === 'n2')!.pid
    await cluster.startNode('n2')
    expect(cluster.processes().find(({ id }) => id === 'n2')!.pid).not.toBe(before)
    expect(await codeOf(cluster.startNode('n2'))).toBe('ALREADY_RUNNING')

    cluster.pauseNode('n2')
    const paused = (await cluster.status()).nodes.find(({ id }) => id === 'n2')
    expect(paused?.state).toBe('unreachable')
    cluster.resumeNode('n2')
    expect((await cluster.node('n2').status()).nodeId).toBe('n2')

    cluster.pauseNode('n2')
    const reports = await cluster.stopAll()
    expect(reports.map(({ id, how }) => [id, how])).toEqual([
      ['n2', 'stopped'],
      ['n1', 'stopped']
    ])
    expect(() => openCluster(data)).toThrow(/no cluster runs/)
  })

  it('says which node failed and why, and leaves nothing behind', async () => {
    const data = freshFolder()
    const config = await twoNodes('n1', 'crash')
    const started: RunningCluster[] = []
    const failure = await startCluster({
      config,
      dataDirectory: data,
      program,
      onStarted: cluster => started.push(cluster)
    }).catch((error: RingsetError) => error)
    expect(failure).toMatchObject({ code: 'NODE_FAILED', facts: { id: 'crash' } })
    expect((failure as RingsetError).message).toContain('exit code 3')
    expect((failure as RingsetError).message).toContain('the disk is on fire')
    expect(started[0]!.isRunning('n1')).toBe(false)
  })

  it('gives up when the cluster does not become ready, and says what is missing', async () => {
    const failure = await start(await twoNodes('lonely1', 'n2'), freshFolder(), 8_000).catch(
      (error: RingsetError) => error
    )
    expect(failure).toMatchObject({ code: 'TIMEOUT' })
    expect((failure as RingsetError).message).toContain('has a leader')
  })

  it('kills whoever does not stop in time', async () => {
    const cluster = await start(await twoNodes('n1', 'stubborn'), freshFolder())
    const reports = await cluster.stopAll({ timeoutMs: 300 })
    expect(reports.find(({ id }) => id === 'stubborn')?.how).toBe('killed')
    expect(cluster.isRunning('stubborn')).toBe(false)
  })

  it('is not misled by a record of before a restart of the machine', async () => {
    const data = freshFolder()
    const { clusterFile } = dataFolder(data)
    // A living process that is not ours, one that is gone, and nonsense.
    const nodes = [process.pid, 2 ** 22 + 1, -1].map((pid, i) => ({
      id: `n${i}`,
      pid,
      startedAtMs: 1
    }))
    writeFileSync(clusterFile, JSON.stringify({ version: 1, cluster: 'fake', nodes }))
    expect(() => openCluster(data)).toThrow(/no cluster runs/)
    const cluster = await start(await twoNodes('n1', 'n2'), data)
    expect(JSON.parse(readFileSync(clusterFile, 'utf8')).nodes).toHaveLength(2)
    await cluster.stopAll()
    writeFileSync(clusterFile, '{')
    expect(() => openCluster(data)).toThrow(/malformed/)
    rmSync(clusterFile)
  })
})
