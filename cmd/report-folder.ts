import { accessSync, constants, mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { RingsetError } from '../src/base/errors.ts'

/** Makes the folder that reports are to be in, and those above it, before anything is done that they report. Throws USAGE where that cannot be. */
export function makeReportFolder(path: string): void {
  try {
    make(resolve(path))
    accessSync(path, constants.W_OK)
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException
    throw new RingsetError('USAGE', `no report can be written to ${path} (${code})`, {}, cause)
  }
}

/** One after the other: Node's own recursion never comes back from folders that refuse with ENOENT, as those of /proc do. */
function make(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) make(dirname(path))
  if (found?.isDirectory() !== true) mkdirSync(path)
}
