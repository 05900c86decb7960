import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { dataFolder } from '../config/data-folder.ts'
import type { NodeConfig } from '../config/schema.ts'
import { sealedIn, sealedTimes, takings } from './sealed-times.ts'

const directory = mkdtempSync(join(tmpdir(), 'ringset-sealed-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const taken = (second: number, sealedMs: number): string => {
  const time = new Date(second * 1_000).toISOString()
  return JSON.stringify({ level: 'info', time, node: 'n1', event: 'slot_taken', slot: 3, sealedMs })
}

describe('how long slots were sealed', () => {
  it('stands in one line of a log, and in no other', () => {
    expect(sealedIn(taken(10, 41.5), 10_000)).toBe(41.5)
    expect(sealedIn(taken(9, 41.5), 10_000)).toBeUndefined()
    const others = [
      '',
      '{"event":"slot_step"}',
      '{"text":"\\"slot_taken\\""}',
      taken(10, 1).slice(0, -1)
    ]
    for (const line of [...others, taken(10, 1).replace('1}', '"1"}')]) {
      expect(sealedIn(line, 10_000)).toBeUndefined()
    }
  })

  it('is gathered from all logs, however they are cut into blocks', () => {
    const folder = dataFolder(directory)
    const filler = `${JSON.stringify({ event: 'other', text: 'x'.repeat(1_000) })}\n`
    const lines = (count: number) =>
      Array.from({ length: count }, (_, i) => `${filler}${taken(i + 1, i + 1)}\n`).join('')
    mkdirSync(dirname(folder.nodeLogFile('n1')), { recursive: true })
    mkdirSync(dirname(folder.nodeLogFile('n2')), { recursive: true })
    writeFileSync(folder.nodeLogFile('n1'), lines(2_500))
    writeFileSync(folder.nodeLogFile('n2'), taken(7, 7))
    const nodes = ['n1', 'n2', 'n3'].map(id => ({ id })) as NodeConfig[]
    const found = sealedTimes({ cluster: { dataDirectory: directory }, nodes, sinceMs: 6_000 })
    expect(found).toHaveLength(2_496)
    expect(found.slice(0, 2)).toEqual([6, 7])
    expect(found.at(-1)).toBe(7)
  })
})

describe('who has taken which slot', () => {
  it('is gathered from all logs in the order of time', () => {
    const folder = dataFolder(directory)
    const step = (second: number, name: string, epoch: number): string => {
      const time = new Date(second * 1_000).toISOString()
      return `${JSON.stringify({ time, event: 'slot_step', step: name, slot: 3, move: 2, epoch })}\n`
    }
    const nodes = ['s1', 's2'].map(set => {
      return { id: `${set}-x`, roles: [{ role: 'router', set }] }
    }) as unknown as NodeConfig[]
    for (const { id } of nodes) mkdirSync(dirname(folder.nodeLogFile(id)), { recursive: true })
    writeFileSync(folder.nodeLogFile('s1-x'), step(1, 'take', 4) + step(30, 'take', 9))
    writeFileSync(folder.nodeLogFile('s2-x'), step(20, 'take', 7) + step(21, 'settle', 7))
    const cluster = { dataDirectory: directory }
    expect(takings({ cluster, nodes, sinceMs: 10_000 })).toEqual([
      { node: 's2-x', set: 's2', slot: 3, epoch: 7 },
      { node: 's1-x', set: 's1', slot: 3, epoch: 9 }
    ])
  })
})
