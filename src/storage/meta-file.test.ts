import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MetaFile, type MetaState, readMetaFile } from './meta-file.ts'

const slotBytes = 64 * 1024

function state(): MetaState {
  return {
    identity: { node: 'cluster/node', incarnation: 12345 },
    watermark: 7,
    databaseDamaged: false,
    groups: new Map()
  }
}

describe('the meta file', () => {
  let folder: string
  let path: string
  let failures: Error[]

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ringset-meta-'))
    path = join(folder, 'meta')
    failures = []
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const create = (): MetaFile => new MetaFile(path, state(), 0, error => failures.push(error))
  const found = (): MetaState => {
    const meta = readMetaFile(path)
    if (typeof meta === 'string') throw new Error(meta)
    return meta.state
  }
  const written = (meta: MetaFile): Promise<void> => new Promise(resolve => meta.write(resolve))

  it('is absent, then holds what was set', async () => {
    expect(readMetaFile(path)).toBe('absent')
    const meta = create()
    expect(meta.setVote('g', 3, 2)).toBe(true)
    expect(meta.setVote('g', 3, 2)).toBe(false)
    meta.state.watermark = 99
    await written(meta)
    expect(found()).toEqual({
      ...state(),
      watermark: 99,
      groups: new Map([['g', { term: 3, vote: 2, rowsDamaged: false }]])
    })
    await meta.close()
    expect(failures).toEqual([])
  })

  it('falls back to the state before when the newest slot is torn', async () => {
    const meta = create()
    for (let term = 1; term <= 4; term++) {
      meta.setVote('g', term, 1)
      await written(meta)
    }
    await meta.close()
    const terms: number[] = []
    for (const slot of [0, 1]) {
      const bytes = readFileSync(path)
      const torn = Buffer.from(bytes)
      torn.fill(0, slot * slotBytes + 20, slot * slotBytes + 40)
      writeFileSync(path, torn)
      terms.push(found().groups.get('g')!.term)
      writeFileSync(path, bytes)
    }
    expect(terms.sort()).toEqual([3, 4])
  })

  it('is damaged when neither slot is good', () => {
    create()
    writeFileSync(path, Buffer.alloc(2 * slotBytes))
    expect(readMetaFile(path)).toBe('damaged')
    writeFileSync(path, '')
    expect(readMetaFile(path)).toBe('damaged')
  })

  it('makes one write of all that waits, none of it later than its callback', async () => {
    const meta = create()
    const onDisk: [number, number][] = []
    const last = new Promise<void>(resolve => {
      for (let term = 1; term <= 5; term++) {
        meta.setVote('g', term, 1)
        meta.write(() => {
          onDisk.push([term, found().groups.get('g')!.term])
          if (term === 5) resolve()
        })
      }
    })
    await last
    expect(onDisk).toEqual([
      [1, 1],
      [2, 5],
      [3, 5],
      [4, 5],
      [5, 5]
    ])
    await meta.close()
  })

  it('closes after the write under way', async () => {
    const meta = create()
    meta.setVote('g', 8, 1)
    let written = false
    meta.write(() => {
      written = true
    })
    await meta.close()
    expect(written).toBe(true)
    expect(found().groups.get('g')!.term).toBe(8)
  })

  it('remembers damage until it is cleared', async () => {
    const meta = create()
    meta.markRowsDamaged('g')
    meta.markDatabaseDamaged()
    expect(found().databaseDamaged).toBe(true)
    expect(found().groups.get('g')?.rowsDamaged).toBe(true)
    meta.clearDamaged()
    await written(meta)
    expect(found().databaseDamaged).toBe(false)
    expect(found().groups.get('g')?.rowsDamaged).toBe(false)
    await meta.close()
  })
})
