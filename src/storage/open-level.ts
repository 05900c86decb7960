import { rename, rm } from 'node:fs/promises'
import { ClassicLevel } from 'classic-level'
import { RingsetError } from '../base/errors.ts'
import type { Log } from '../base/ports.ts'
import { diskFailed } from './disk-writer.ts'
import { readMetaFile } from './meta-file.ts'
import type { Level } from './write-batch.ts'

export interface LevelSizes {
  readonly writeBufferBytes: number
  readonly cacheBytes: number
}

/**
 * Opens LevelDB. One that cannot be opened at all, or that the meta file says is damaged, is set aside as `<directory>.damaged` for
 * whoever wants to look, and an empty one takes its place: the meta file then shows that everything is lost, which quarantines
 * every group. Without a good meta file that would pass for a fresh node, so it is refused with DATA_DAMAGED.
 */
export async function openLevel(
  directory: string,
  metaPath: string,
  log: Log,
  sizes: LevelSizes
): Promise<Level> {
  const meta = readMetaFile(metaPath)
  if (typeof meta !== 'string' && meta.state.databaseDamaged) {
    await setAside(directory, log, 'damage was met while running')
  }
  try {
    return await tryOpen(directory, sizes)
  } catch (error) {
    const cause = (error as Error).cause as (Error & { code?: string }) | undefined
    if (cause?.code === 'LEVEL_LOCKED') {
      throw new RingsetError('DATA_LOCKED', undefined, { directory }, error)
    }
    if (!unusable(cause)) throw diskFailed(error as Error)
    await replaceDamaged(directory, metaPath, log, cause)
    return tryOpen(directory, sizes)
  }
}

/** Sets aside a database that cannot be used, if the meta file is there to tell of the loss. */
export async function replaceDamaged(
  directory: string,
  metaPath: string,
  log: Log,
  cause: Error | undefined
): Promise<void> {
  if (typeof readMetaFile(metaPath) === 'string') {
    throw new RingsetError(
      'DATA_DAMAGED',
      'the database cannot be used and the meta file is no good either',
      { directory, detail: cause?.message },
      cause
    )
  }
  await setAside(directory, log, cause?.message)
}

async function setAside(directory: string, log: Log, detail: string | undefined): Promise<void> {
  log.error('storage_set_aside', { directory, detail })
  await rm(`${directory}.damaged`, { recursive: true, force: true })
  try {
    await rename(directory, `${directory}.damaged`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

/** LevelDB tells missing files only by text. */
function unusable(cause: (Error & { code?: string }) | undefined): boolean {
  if (cause?.code === 'LEVEL_CORRUPTION') return true
  return cause?.code === 'LEVEL_IO_ERROR' && /no such file/i.test(cause.message)
}

async function tryOpen(directory: string, sizes: LevelSizes): Promise<Level> {
  const level: Level = new ClassicLevel(directory, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    compression: false,
    writeBufferSize: sizes.writeBufferBytes,
    cacheSize: sizes.cacheBytes
  })
  await level.open()
  return level
}
