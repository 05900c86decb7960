import { randomBytes } from 'node:crypto'
import { linkSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import type { DataFolder } from '../config/data-folder.ts'
import { textOf } from '../config/text-of.ts'

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
 * Tries once to take the lock file `path`; it appears with its holder in it, or not at all. Whoever holds it removes it. One left behind by
 * a dead process is cleared, so that the next try succeeds.
 */
export function tryLock(path: string): boolean {
  const draft = draftOf(path)
  writeFileSync(draft, `${process.pid} ${birthOf(process.pid)}`.trim(), { flag: 'wx', mode: 0o600 })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(draft, { force: true })
  }
  const holder = textOf(path)
  if (holder !== undefined && !holderLives(holder)) clear(path, holder)
  return false
}

/**
 * Whether the process that a lock file names lives. Its number alone does not tell: the next process with it may be another one, most of
 * all after a restart of the machine or of a container.
 */
export function holderLives(text: string): boolean {
  const [number, ...birth] = text.trim().split(' ')
  const pid = Number(number)
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const born = birthOf(pid)
  return birth.length === 0 || born === '' || born === birth.join(' ')
}

/** What sets a process apart from others of the same number: the boot of the machine, and the moment in it. Empty where the system does not tell. */
function birthOf(pid: number): string {
  const boot = textOf('/proc/sys/kernel/random/boot_id')?.trim()
  // Behind the name of the program, which may hold anything, the twentieth field.
  const since = textOf(`/proc/${pid}/stat`)?.split(') ').at(-1)?.split(' ')[19]
  return boot === undefined || since === undefined ? '' : `${boot} ${since}`
}

/** Takes away a lock that says `holder`, and no other that has come into its place meanwhile. */
function clear(path: string, holder: string): void {
  const aside = draftOf(path)
  try {
    renameSync(path, aside)
    if (textOf(aside) !== holder) linkSync(aside, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

function draftOf(path: string): string {
  return `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
}
