import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { RingsetError } from '../base/errors.ts'
import { type DataFolder, dataFolder } from './data-folder.ts'

export interface Secrets {
  /** 32 random bytes that every node of the cluster has. */
  readonly secret: Buffer
  /** 64 hex digits; metadata `authorization` of every control call. */
  readonly credential: string
}

/** Reads the secrets of a data folder, making what is missing. Safe when several processes do it at once. */
export function ensureSecrets(directory: string): Secrets {
  const folder = dataFolder(directory)
  mkdirSync(folder.root, { recursive: true, mode: 0o700 })
  make(folder.secretFile)
  make(folder.credentialFile)
  return read(folder)
}

/** Reads the secrets of a data folder. Throws UNAUTHENTICATED when it has none or they are malformed. */
export function readSecrets(directory: string): Secrets {
  return read(dataFolder(directory))
}

/** Reads one hex secret file, for `--credential FILE`. */
export function readHexFile(path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8').trim()
  } catch (error) {
    throw new RingsetError('UNAUTHENTICATED', `${path} cannot be read`, { path }, error)
  }
  if (!/^[0-9a-f]{64}$/.test(text)) {
    throw new RingsetError('UNAUTHENTICATED', `${path} is not 64 hex digits`, { path })
  }
  return text
}

function read(folder: DataFolder): Secrets {
  return {
    secret: Buffer.from(readHexFile(folder.secretFile), 'hex'),
    credential: readHexFile(folder.credentialFile)
  }
}

/** Appears whole or not at all, and the first of two makers wins: a link to an existing name fails. */
function make(path: string): void {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  writeFileSync(draft, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx' })
  try {
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(draft, { force: true })
  }
  if ((statSync(path).mode & 0o077) === 0) return
  try {
    chmodSync(path, 0o600)
  } catch {
    // It is somebody else's, or on a disk that is only read: `ringset doctor` tells when others may read it.
  }
}
