import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { silentLog } from '../base/ports.ts'
import { sampleTable } from '../bench/sample-table.ts'
import { createTableKeeper } from '../table/create-table-keeper.ts'
import { encodeTable, peekTable } from '../table/table-codec.ts'
import { TableCache } from './table-cache.ts'

const tableOf = (epoch: number): Buffer => encodeTable({ ...sampleTable(2), epoch })

describe('the table on disk', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ringset-table-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('is there at once, then not more often than somebody could use it, and the newest in the end', async () => {
    const path = join(folder, 'table.bin')
    const keeper = createTableKeeper()
    const cache = new TableCache(path, keeper, silentLog)
    const epochOnDisk = (): number => peekTable(readFileSync(path)).epoch
    expect(keeper.adopt(tableOf(1))).toBe('adopted')
    await vi.waitFor(() => expect(epochOnDisk()).toBe(1))
    for (let epoch = 2; epoch <= 50; epoch++) {
      keeper.adopt(tableOf(epoch))
      // Time enough to write one.
      await writeFile(join(folder, 'other'), tableOf(epoch))
    }
    expect(epochOnDisk()).toBe(1)
    await cache.close()
    expect(epochOnDisk()).toBe(50)

    const next = createTableKeeper()
    const again = new TableCache(path, next, silentLog)
    expect(next.view().epoch).toBe(50)
    await again.close()
  })
})
