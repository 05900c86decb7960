import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { RingsetError } from '../src/base/errors.ts'
import { dataFolder } from '../src/config/data-folder.ts'
import { tryLock } from '../src/launch/launch-lock.ts'

/** A device of this command line: what it must not forget is in one file, and nobody else uses it meanwhile. */
export interface Device {
  readonly storeFile: string
  release(): void
}

const maxDevices = 1000

/**
 * The device of a user for one verb: the first that no other process uses, so that two terminals of one user do not evict each other
 * and the next call goes on where this one ended.
 */
export function claimDevice(dataDirectory: string, uid: string, verb: string): Device {
  const name = encodeURIComponent(Buffer.from(uid, 'utf8').toString('utf8'))
  const folder = join(dataFolder(dataDirectory).clientsFolder, `${verb}-${name}`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (let number = 1; number <= maxDevices; number++) {
    const lock = join(folder, `${number}.lock`)
    // The first try may only clear the lock of a dead process.
    if (!tryLock(lock) && !tryLock(lock)) continue
    return {
      storeFile: join(folder, `${number}.json`),
      release: () => rmSync(lock, { force: true })
    }
  }
  throw new RingsetError('OVERLOADED', `${uid} runs ${maxDevices} times "ringset ${verb}" already`)
}
