import type { RowPage, RowRange } from '../raft/store.ts'
import { deletedRow } from './row-overlay.ts'
import { rowDamaged, unseal } from './seal.ts'
import type { Level } from './write-batch.ts'

/** Rows taken from the database at once. */
const sliceRows = 256

interface RangeReadParts {
  readonly level: Level
  /** What the database keys of the rows begin with. */
  readonly prefix: Buffer
  /** Rows that are not in the database yet; they hide what it has. Taken at the same instant as the read began. */
  readonly waiting: ReadonlyMap<string, Buffer>
}

type Row = readonly [key: string, value: Buffer]

/** The reads under way of one store. */
export class RangeReads {
  readonly #level: Level
  readonly #unreadable: (error: Error) => void
  readonly #reading = new Set<Promise<void>>()
  #closed = false

  /** @param unreadable rows cannot be read back; stops the process. */
  constructor(level: Level, unreadable: (error: Error) => void) {
    this.#level = level
    this.#unreadable = unreadable
  }

  read(parts: Omit<RangeReadParts, 'level'>, range: RowRange, done: (page: RowPage) => void): void {
    const reading = readLevelRange({ level: this.#level, ...parts }, range).then(
      page => {
        if (!this.#closed) done(page)
      },
      error => {
        if (!this.#closed) this.#unreadable(error)
      }
    )
    this.#reading.add(reading)
    void reading.then(() => this.#reading.delete(reading))
  }

  /** Answers nothing any more, and waits until the database is let go of. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#reading)
  }
}

/** Reads a page of rows. Throws what the database throws, and DATA_DAMAGED. */
async function readLevelRange(
  { level, prefix, waiting }: RangeReadParts,
  { after, before, maxBytes }: RowRange
): Promise<RowPage> {
  const iterator = level.iterator({
    gt: Buffer.concat([prefix, Buffer.from(after, 'utf8')]),
    lt: Buffer.concat([prefix, Buffer.from(before, 'utf8')]),
    fillCache: false,
    highWaterMarkBytes: maxBytes
  })
  const stored: Row[] = []
  let bytes = 0
  let ended = false
  try {
    while (bytes < maxBytes && !ended) {
      const slice = await iterator.nextv(sliceRows)
      ended = slice.length === 0
      for (const [rowKey, sealed] of slice) {
        const key = rowKey.toString('utf8', prefix.length)
        const value = waiting.has(key) ? deletedRow : unseal(rowKey, sealed)
        if (value === undefined) throw rowDamaged(key)
        stored.push([key, value])
        // A page that is not the last one holds a row.
        if (value !== deletedRow) bytes += key.length + value.length
      }
    }
  } finally {
    await iterator.close()
  }
  // Beyond the last row read the database may hold more.
  const end = ended ? before : stored.at(-1)![0]
  const fresh = [...waiting].filter(([key]) => isAfter(key, after) && !isAfter(key, end))
  const known = fresh.filter(([key, value]) => value !== deletedRow && key !== before)
  const kept = stored.filter(([, value]) => value !== deletedRow)
  return pageOf([...kept, ...known], maxBytes, !ended)
}

/** As many of the rows, in order of their keys, as fit; at least one. @param more whether others follow behind them. */
export function pageOf(rows: readonly Row[], maxBytes: number, more: boolean): RowPage {
  const sorted = [...rows].sort(([a], [b]) => (isAfter(a, b) ? 1 : -1))
  const page: Row[] = []
  let bytes = 0
  for (const row of sorted) {
    bytes += row[0].length + row[1].length
    if (page.length > 0 && bytes > maxBytes) return { rows: page, more: true }
    page.push(row)
  }
  return { rows: page, more }
}

/** Keys compare by their UTF-8 bytes. */
export function isAfter(key: string, other: string): boolean {
  return Buffer.compare(Buffer.from(key, 'utf8'), Buffer.from(other, 'utf8')) > 0
}
