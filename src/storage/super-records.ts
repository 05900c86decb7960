import { sequenceOfSuperKey, superKey, superRange } from './keys.ts'
import { unseal } from './seal.ts'
import { decodeSuper, type SuperRecord } from './state-codec.ts'
import type { Level } from './write-batch.ts'

/** What the super records say about the batches. */
export interface FoundSupers {
  /** The newest readable one. */
  readonly newest: SuperRecord | undefined
  /** Set when a batch between the floor and the newest is missing or damaged. */
  readonly gap: string | undefined
}

const scanRows = 1000

/** Checks that no batch is missing between the floor and the newest. */
export async function findSupers(level: Level): Promise<FoundSupers> {
  try {
    const [last] = await level.iterator({ ...superRange, reverse: true, limit: 1 }).all()
    if (last === undefined) return { newest: undefined, gap: undefined }
    const newest = open(last[0], last[1])
    if (newest === undefined) return { newest, gap: 'the newest super record is damaged' }
    return { newest, gap: await findGap(level, newest) }
  } catch (error) {
    return { newest: undefined, gap: `super records cannot be read: ${(error as Error).message}` }
  }
}

async function findGap(level: Level, newest: SuperRecord): Promise<string | undefined> {
  const iterator = level.iterator({
    gte: superKey(newest.floor),
    lt: superRange.lt,
    fillCache: false
  })
  try {
    let expected = newest.floor
    let chain: number | undefined
    for (;;) {
      const rows = await iterator.nextv(scanRows)
      if (rows.length === 0) return expected > newest.sequence ? undefined : gapAt(expected)
      for (const [key, value] of rows) {
        const record = open(key, value)
        if (record?.sequence !== expected) return gapAt(expected)
        if (chain !== undefined && record.chainBefore !== chain) return gapAt(expected)
        chain = record.chain
        expected++
      }
    }
  } finally {
    await iterator.close()
  }
}

function gapAt(sequence: number): string {
  return `batch ${sequence} is missing from the database, later ones are there`
}

function open(key: Buffer, value: Buffer): SuperRecord | undefined {
  return unseal(key, value) === undefined ? undefined : decodeSuper(sequenceOfSuperKey(key), value)
}
