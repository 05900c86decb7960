import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import { dataFolder } from '../config/data-folder.ts'
import type { RunningCluster, StopReport } from '../launch/running-cluster.ts'
import { FaultHand } from './fault-hand.ts'
import type { ProcessAction } from './scenario.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/**
 * Nodes that run, with something in their folders. @param ends how they end when they are asked to. @param disturb what becomes of those
 * whose disk is to fail.
 */
function setUp(
  ends: StopReport['how'] = 'stopped',
  disturb: (running: Set<string>) => number = () => 7
) {
  const root = mkdtempSync(join(tmpdir(), 'ringset-hand-'))
  folders.push(root)
  const running = new Set(['a', 'b'])
  const ended = async (id: string, how: StopReport['how']): Promise<StopReport> => {
    running.delete(id)
    return { id, pid: 1, how, ms: 5 }
  }
  const cluster = {
    dataDirectory: root,
    isRunning: (id: string) => running.has(id),
    stopNode: (id: string) => ended(id, ends),
    killNode: (id: string) => ended(id, 'killed'),
    startNode: async (id: string) => void running.add(id)
  } as unknown as RunningCluster
  const leased = { do: async () => disturb(running), undo: async () => {}, end: async () => {} }
  const hand = new FaultHand(cluster, new Prng(1), leased)
  const folder = dataFolder(root)
  const level = (id: string) => join(folder.nodeFolder(id), 'db', 'level')
  for (const id of running) {
    mkdirSync(level(id), { recursive: true })
    writeFileSync(join(level(id), '000003.log'), 'before')
  }
  const read = (id: string) => readFileSync(join(level(id), '000003.log'), 'utf8')
  const write = (id: string, text: string) => writeFileSync(join(level(id), '000003.log'), text)
  const act = (action: ProcessAction, ...nodes: string[]) => hand.do({} as never, action, nodes)
  return { root, running, hand, act, level, read, write }
}

describe('faults of processes', () => {
  it('are as they should be only where nodes end as they were asked to', async () => {
    const { hand, act, running } = setUp()
    await act('terminate', 'a', 'b')
    expect([...running]).toEqual([])
    await hand.undoAll()
    expect([...running].sort()).toEqual(['a', 'b'])
    const stubborn = setUp('killed')
    const refused = stubborn.act('terminate', 'a')
    await expect(refused).rejects.toMatchObject({ code: 'NODE_FAILED' })
    await expect(refused).rejects.toThrow('a was killed after 5 ms')
    await stubborn.hand.undoAll()
    expect(stubborn.running.has('a')).toBe(true)
  })

  it('are in force at a node that stops itself, whether or not it has answered before', async () => {
    const told = setUp('stopped', running => (running.delete('a') ? 7 : 0))
    expect(await told.act('diskFull', 'a')).toBe(7)
    const mute = setUp('stopped', running => (running.delete('a') ? 0 : 7))
    const beganMs = performance.now()
    expect(await mute.act('syncError', 'a')).toBeGreaterThanOrEqual(beganMs)
    expect(mute.hand.failStops).toEqual([{ action: 'syncError', node: 'a', stopped: true }])
  })

  it('put an older folder back, and leave nothing beside it', async () => {
    const { root, hand, act, read, write } = setUp()
    await act('oldDirectory', 'a')
    write('a', 'after')
    await hand.undo(['a'])
    expect(read('a')).toBe('before')
    expect(existsSync(join(root, 'copies'))).toBe(false)
  })

  it('put back nothing that is not whole: the node keeps what it has', async () => {
    const { root, hand, act, read, running } = setUp()
    writeFileSync(join(root, 'copies'), 'in the way')
    await expect(act('oldDirectory', 'a')).rejects.toThrow()
    await hand.undo(['a'])
    expect([read('a'), running.has('a')]).toEqual(['before', true])
  })

  it('do not take over what a drill of before has left', async () => {
    const { root, hand, act, read } = setUp()
    const stale = join(root, 'copies', 'a', 'db', 'level')
    mkdirSync(stale, { recursive: true })
    writeFileSync(join(stale, 'stale'), '')
    await act('oldDirectory', 'a')
    await hand.undo(['a'])
    expect(read('a')).toBe('before')
    expect(existsSync(join(root, 'nodes', 'a', 'db', 'level', 'stale'))).toBe(false)
  })

  it('turn one bit of the newest file that has any, or say that there is none', async () => {
    const { act, hand, level, read, write } = setUp()
    writeFileSync(join(level('a'), '000007.log'), '')
    await act('bitRot', 'a')
    expect(read('a')).not.toBe('before')
    await hand.undoAll()
    write('b', '')
    await expect(act('bitRot', 'b')).rejects.toThrow('no log file to damage')
  })
})
