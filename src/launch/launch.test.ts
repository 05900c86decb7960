import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../config/config.ts'
import { dataFolder } from '../config/data-folder.ts'
import { ensureSecrets } from '../config/secrets.ts'
import type { ClusterSample } from '../control/cluster-control.ts'
import { StatusResponse } from '../gen/ringset/control/v1/control.ts'
import type { RoutingTable } from '../table/table.ts'
import { readRecord, removeRecord, writeRecord } from './cluster-record.ts'
import { programArguments } from './entry.ts'
import { startCluster } from './launch.ts'
import { holderLives, tryLock, withLaunchLock } from './launch-lock.ts'
import { isRunning, logTail } from './node-process.ts'
import { readiness } from './readiness.ts'
import { RunningCluster } from './running-cluster.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function fresh() {
  const folder = mkdtempSync(join(tmpdir(), 'ringset-launch-unit-'))
  folders.push(folder)
  return dataFolder(folder)
}

const config = parseConfig({
  cluster: { name: 'c' },
  sets: [{ id: 's1' }],
  nodes: [
    {
      id: 'n1',
      peerPort: 1,
      controlPort: 2,
      roles: [
        { role: 'arbiter', replica: 1 },
        { role: 'router', set: 's1', replica: 1 },
        { role: 'transfer', id: 't1', set: 's1', tcpPort: 3 },
        { role: 'logic', id: 'l1', set: 's1' }
      ]
    }
  ]
})

interface Scene {
  state?: string
  nodeId?: string
  routerRole?: string
  arbiterRole?: string
  tableBootId?: number
  tableState?: 'up' | 'down'
  silent?: true
  setState?: 'lost'
}

function sampleOf(scene: Scene): ClusterSample {
  const { state = 'running', nodeId = 'n1', routerRole = 'leader', arbiterRole = 'leader' } = scene
  const status = StatusResponse.fromPartial({
    nodeId,
    state,
    bootId: 7,
    epoch: 1,
    routers: [{ set: 's1', raft: { replica: 1, role: routerRole, term: 1 } }],
    arbiters: [{ raft: { replica: 1, role: arbiterRole, term: 1 } }]
  })
  const { tableBootId: bootId = 7, tableState = 'up' } = scene
  const entry = { nodeId: 'n1', bootId, address: '', state: tableState, version: '', weight: 1 }
  const table: RoutingTable = {
    clusterId: '0000000000aa',
    epoch: 1,
    slotCount: 1024,
    runs: [],
    moves: [],
    grey: [],
    tenants: [],
    pins: [],
    arbiters: [],
    sets: [
      {
        id: 's1',
        zone: '',
        state: scene.setState ?? 'active',
        weight: 1,
        transfers: [{ ...entry, id: 't1', clientAddresses: [] }],
        logics: [{ ...entry, id: 'l1' }],
        routers: [{ ...entry, replicaId: 1, role: 'voter' }]
      }
    ]
  }
  const answer = scene.silent ? undefined : status
  const node = { id: 'n1', controlAddress: '', status: answer, error: undefined }
  return { atMs: 0, nodes: [node], table }
}

describe('readiness', () => {
  it('is reached when nodes run, groups are led and the table lists every process', () => {
    const { ready, done, total, waitingFor } = readiness(config, sampleOf({}))
    expect({ ready, done, total, waitingFor }).toEqual({
      ready: true,
      done: 6,
      total: 6,
      waitingFor: []
    })
  })

  it('does not take a leader of a set that is given up', () => {
    const scene: Scene = { setState: 'lost', routerRole: 'follower' }
    expect(readiness(config, sampleOf(scene))).toMatchObject({ ready: true, total: 5 })
  })

  const inTable = ['router s1/1', 'transfer t1', 'logic l1'].map(name => `${name} is in the table`)
  it.each<[Scene, string[]]>([
    [{ routerRole: 'candidate' }, ['set s1 has a leader']],
    [{ arbiterRole: 'follower' }, ['the arbiter has a leader']],
    [{ tableBootId: 6 }, inTable],
    [{ tableState: 'down' }, inTable],
    [{ state: 'stopping' }, ['node n1 runs', ...inTable]],
    [{ nodeId: 'n2' }, ['node n1 runs', ...inTable]],
    [
      { silent: true },
      ['node n1 runs', ...inTable, 'the arbiter has a leader', 'set s1 has a leader']
    ]
  ])('is not reached with %j', (scene, missing) => {
    expect(readiness(config, sampleOf(scene)).waitingFor).toEqual(missing)
  })
})

describe('the record of processes', () => {
  it('is written whole, read back and removed', () => {
    const folder = fresh()
    expect(readRecord(folder)).toBeUndefined()
    const record = {
      version: 1 as const,
      cluster: 'c',
      nodes: [{ id: 'a', pid: 1, startedAtMs: 2 }]
    }
    writeRecord(folder, record)
    expect(readRecord(folder)).toEqual(record)
    expect(readdirSync(folder.root)).toEqual(['cluster.json'])
    removeRecord(folder)
    expect(readRecord(folder)).toBeUndefined()
  })

  it.each([
    '',
    '{',
    '[]',
    'null',
    '{"version":2,"nodes":[]}',
    '{"version":1,"nodes":[{"id":"a"}]}'
  ])('that reads %j is refused', text => {
    const folder = fresh()
    writeFileSync(folder.clusterFile, text)
    expect(() => readRecord(folder)).toThrow(/malformed/)
  })

  it('does not take another process for a node', () => {
    const folder = fresh()
    const running = (pid: number) => isRunning({ id: 'n1', pid, startedAtMs: 0 }, folder)
    for (const pid of [process.pid, process.ppid, 0, -1, 2 ** 22 + 1])
      expect(running(pid)).toBe(false)
  })
})

describe('the launch lock', () => {
  it('lets one in at a time, in this process too, and is gone afterwards', async () => {
    const folder = fresh()
    let inside = 0
    const work = async () => {
      inside += 1
      expect(inside).toBe(1)
      await new Promise(resolve => setImmediate(resolve))
      inside -= 1
    }
    await Promise.all([1, 2, 3].map(() => withLaunchLock(folder, work)))
    await expect(
      withLaunchLock(folder, async () => {
        throw new Error('failed')
      })
    ).rejects.toThrow('failed')
    expect(readdirSync(folder.root)).toEqual([])
  })

  it('is not held by another process that has the number of its holder', () => {
    const { lockFile } = fresh()
    expect(tryLock(lockFile)).toBe(true)
    const text = readFileSync(lockFile, 'utf8')
    expect(holderLives(text)).toBe(true)
    expect(holderLives(String(process.pid))).toBe(true)
    for (const none of ['', '0', '-1', 'x', String(2 ** 22 + 1)])
      expect(holderLives(none)).toBe(false)
    // Where the system does not tell when a process began, a number is all there is.
    if (text.includes(' ')) expect(holderLives(`${text}0`)).toBe(false)
  })

  it('is taken over from a dead holder, never from a living one', () => {
    const { lockFile } = fresh()
    writeFileSync(lockFile, String(2 ** 22 + 1))
    expect([tryLock(lockFile), tryLock(lockFile), tryLock(lockFile)]).toEqual([false, true, false])
  })
})

describe('node processes', () => {
  it('run the sources through tsx when these are sources', () => {
    const words = programArguments()
    expect(words).toHaveLength(3)
    expect([words[0], words[2]]).toEqual(['--import', expect.stringMatching(/cmd\/ringset\.ts$/)])
  })

  it('have their last log lines shown, never more than asked for', () => {
    const folder = fresh()
    expect(logTail('n1', folder)).toEqual([])
    mkdirSync(folder.nodeFolder('n1'), { recursive: true })
    writeFileSync(folder.nodeLogFile('n1'), 'one\n\ntwo\nthree\n')
    expect(logTail('n1', folder)).toEqual(['one', 'two', 'three'])
    expect(logTail('n1', folder, 9)).toEqual(['wo', 'three'])
  })
})

describe('a node of a cluster that was stopped meanwhile', () => {
  it('is not started: whoever stopped it believes that nothing is left', async () => {
    const folder = fresh()
    ensureSecrets(folder.root)
    writeFileSync(folder.configFile, JSON.stringify(config))
    const cluster = new RunningCluster(folder.root)
    try {
      await expect(cluster.startNode('n1')).rejects.toMatchObject({ code: 'NOT_RUNNING' })
      await expect(cluster.startNode('n2')).rejects.toMatchObject({ code: 'NODE_UNKNOWN' })
    } finally {
      cluster.close()
    }
    expect(readdirSync(folder.root).sort()).toEqual(['config.yaml', 'credential', 'secret'])
  })
})

describe('a cluster that is started with another file', () => {
  it('must not forget a set that has data', async () => {
    const folder = fresh()
    const text = (ids: string[]) => {
      const nodes = ids.map((id, i) => ({
        id: `${id}-a`,
        peerPort: 10 * i + 1,
        controlPort: 10 * i + 2,
        roles: [
          { role: 'arbiter' as const, replica: i + 1 },
          { role: 'router' as const, set: id, replica: 1 },
          { role: 'transfer' as const, id: `${id}-t`, set: id, tcpPort: 10 * i + 3 },
          { role: 'logic' as const, id: `${id}-l`, set: id }
        ]
      }))
      return { cluster: { name: 'c' }, sets: ids.map(id => ({ id })), nodes }
    }
    writeFileSync(folder.configFile, JSON.stringify(text(['s1', 's2'])))
    mkdirSync(folder.nodeFolder('s2-a'), { recursive: true })
    const started = startCluster({ config: text(['s1']), dataDirectory: folder.root })
    await expect(started).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(started).rejects.toThrow('lacks set s2')
    const divided = text(['s1', 's2'])
    for (const change of [{ slotCount: 64 }, { tenants: [{ id: 'a', prefix: 'a-', slots: 2 }] }]) {
      const config = { ...divided, cluster: { ...divided.cluster, ...change } }
      const refused = startCluster({ config, dataDirectory: folder.root })
      await expect(refused).rejects.toThrow('is fixed by the first start')
    }
    const another = { ...divided, cluster: { name: 'd' } }
    const strange = startCluster({ config: another, dataDirectory: folder.root })
    await expect(strange).rejects.toMatchObject({ code: 'WRONG_CLUSTER' })
    expect(readdirSync(folder.root).sort()).toEqual(['config.yaml', 'nodes'])
  })

  it('is the same folder by whatever link', () => {
    const folder = fresh()
    const link = `${folder.root}-link`
    symlinkSync(folder.root, link)
    folders.push(link)
    expect(dataFolder(link).root).toBe(folder.root)
    expect(dataFolder(join(link, 'new', 'one')).root).toBe(join(folder.root, 'new', 'one'))
  })
})
