import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type CursorStore, MemoryStore } from './cursor-store.ts'
import { FileStore } from './file-store.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringset-store-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const fresh = { deviceId: undefined, nextClientMsgId: 1, connSeq: 0, cursors: [] }

describe.each([
  [
    'MemoryStore',
    () => {
      const store = new MemoryStore()
      return () => store
    }
  ],
  ['FileStore', () => () => new FileStore(join(folder, 'deep', 'device.json'))]
] as [string, () => () => CursorStore][])('%s', (_, make) => {
  it('begins empty', async () => {
    expect(await make()().load()).toEqual(fresh)
  })

  it('gives back what was saved', async () => {
    const reopen = make()
    const store = reopen()
    await store.load()
    await store.saveIdentity('d', 500, 77)
    store.saveCursors([{ session: 'p2p/a/b', msgid: 3 }])
    store.saveCursors([
      { session: 'p2p/a/b', msgid: 4 },
      { session: '__proto__', msgid: 1 }
    ])
    await store.flush()
    const loaded = await reopen().load()
    expect(loaded).toMatchObject({ deviceId: 'd', nextClientMsgId: 500, connSeq: 77 })
    expect(loaded.cursors).toEqual([
      { session: 'p2p/a/b', msgid: 4 },
      { session: '__proto__', msgid: 1 }
    ])
  })
})

describe('FileStore', () => {
  it('leaves no half-written file behind', async () => {
    const store = new FileStore(join(folder, 'device.json'))
    await Promise.all([
      store.saveIdentity('d', 1, 1),
      store.saveIdentity('d', 2, 2),
      store.saveIdentity('d', 3, 3)
    ])
    expect(readdirSync(folder)).toEqual(['device.json'])
    expect(await new FileStore(join(folder, 'device.json')).load()).toMatchObject({ connSeq: 3 })
  })

  it('keeps the old state when a write was cut off', async () => {
    const path = join(folder, 'device.json')
    await new FileStore(path).saveIdentity('d', 5, 6)
    writeFileSync(`${path}.new`, '{"format":1,')
    expect(await new FileStore(path).load()).toMatchObject({ nextClientMsgId: 5 })
  })

  it.each(['', '{', '[]', '{"format":2}', '{"format":1,"cursors":{"s":-1}}'])(
    'refuses a damaged file: %s',
    async text => {
      const path = join(folder, 'device.json')
      writeFileSync(path, text)
      await expect(new FileStore(path).load()).rejects.toMatchObject({ code: 'DATA_DAMAGED' })
      expect(readFileSync(path, 'utf8')).toBe(text)
    }
  )

  it('says when it cannot write', async () => {
    writeFileSync(join(folder, 'file'), '')
    const store = new FileStore(join(folder, 'file', 'device.json'))
    await expect(store.saveIdentity('d', 1, 1)).rejects.toMatchObject({ code: 'DISK_FAILED' })
  })
})
