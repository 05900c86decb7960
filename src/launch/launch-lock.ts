import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import type { DataFolder } from '../config/data-folder.ts'

const waitMs = 30_000
const pollMs = 50

/**
 * Runs `work` while no other process starts or stops nodes of the folder. A lock whose holder is dead is taken over.
 * Throws ALREADY_RUNNING when it is not free within 30 s.
 */
export async function withLaunchLock<T>(folder: DataFolder, work: () => Promise<T>): Promise<T> {
  const endMs = performance.now() + waitMs
  while (!tryLock(folder.lockFile)) {
    if (performance.now() > endMs) {
      const text = `another process works on ${folder.root} (${folder.lockFile})`
      throw new RingsetError('ALREADY_RUNNING', text, { folder: folder.root })
    }
    await sleep(pollMs)
  }
  try {
    return await work()
  } finally {
    rmSync(folder.lockFile, { force: true })
  }
}

/**
 * Tries once to take the lock file `path`; it appears with its holder's process id in it, or not at all. Whoever holds it removes it.
 * One left behind by a dead process is cleared, so that the next try succeeds.
 */
export function tryLock(path: string): boolean {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  writeFileSync(draft, String(process.pid), { flag: 'wx', mode: 0o600 })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(draft, { force: true })
  }
  if (!holderLives(path)) rmSync(path, { force: true })
  return false
}

function holderLives(path: string): boolean {
  try {
    process.kill(Number(readFileSync(path, 'utf8')), 0)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'EPERM' || code === 'ENOENT'
  }
}
