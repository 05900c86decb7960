import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { RingsetError } from '../base/errors.ts'
import type { Cursor } from '../protocol/kinds.ts'
import type { CursorStore, DeviceState } from './cursor-store.ts'

const debounceMs = 500
const format = 1

interface StoredFile {
  readonly format: number
  readonly deviceId: string | undefined
  readonly nextClientMsgId: number
  readonly connSeq: number
  readonly cursors: Readonly<Record<string, number>>
}

/**
 * One JSON file per device, replaced by write, fsync and rename, so that a crash leaves the old one
 * or the new one. Cursors are written at most twice a second. One client at a time.
 */
export class FileStore implements CursorStore {
  readonly #path: string
  #deviceId: string | undefined
  #nextClientMsgId = 1
  #connSeq = 0
  readonly #cursors = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #dirty = false
  #writing: Promise<void> = Promise.resolve()
  #failure: unknown

  constructor(path: string) {
    this.#path = path
  }

  /** Throws DATA_DAMAGED when the file is there and is not what this class has written. */
  async load(): Promise<DeviceState> {
    const text = await readIfThere(this.#path)
    if (text !== undefined) {
      const stored = parse(text, this.#path)
      this.#deviceId = stored.deviceId
      this.#nextClientMsgId = stored.nextClientMsgId
      this.#connSeq = stored.connSeq
      for (const [session, msgid] of Object.entries(stored.cursors)) {
        this.#cursors.set(session, msgid)
      }
    }
    return {
      deviceId: this.#deviceId,
      nextClientMsgId: this.#nextClientMsgId,
      connSeq: this.#connSeq,
      cursors: [...this.#cursors].map(([session, msgid]) => ({ session, msgid }))
    }
  }

  /** Rejects with DISK_FAILED when it could not be written. */
  async saveIdentity(deviceId: string, nextClientMsgId: number, connSeq: number): Promise<void> {
    this.#deviceId = deviceId
    this.#nextClientMsgId = nextClientMsgId
    this.#connSeq = connSeq
    this.#dirty = true
    await this.flush()
  }

  saveCursors(cursors: readonly Cursor[]): void {
    for (const { session, msgid } of cursors) this.#cursors.set(session, msgid)
    this.#dirty = true
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      // The next flush reports it; until then cursors are only older than they could be.
      void this.flush().catch(() => {})
    }, debounceMs)
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing = this.#writing.then(() => this.#write())
    await this.#writing
    if (this.#failure !== undefined) {
      const facts = { path: this.#path }
      throw new RingsetError('DISK_FAILED', 'cannot write the device state', facts, this.#failure)
    }
  }

  async #write(): Promise<void> {
    if (!this.#dirty) return
    this.#dirty = false
    const stored: StoredFile = {
      format,
      deviceId: this.#deviceId,
      nextClientMsgId: this.#nextClientMsgId,
      connSeq: this.#connSeq,
      cursors: Object.fromEntries(this.#cursors)
    }
    try {
      await replaceFile(this.#path, `${JSON.stringify(stored)}\n`)
      this.#failure = undefined
    } catch (error) {
      this.#dirty = true
      this.#failure = error
    }
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const fresh = `${path}.new`
  const file = await open(fresh, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(fresh, path)
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function parse(text: string, path: string): StoredFile {
  try {
    const stored: unknown = JSON.parse(text)
    if (isStored(stored)) return stored
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new RingsetError('DATA_DAMAGED', 'the device state is not readable', { path })
}

function isStored(value: unknown): value is StoredFile {
  if (typeof value !== 'object' || value === null) return false
  const stored = value as Record<string, unknown>
  const { cursors } = stored
  return (
    stored.format === format &&
    (stored.deviceId === undefined || typeof stored.deviceId === 'string') &&
    isCount(stored.nextClientMsgId) &&
    isCount(stored.connSeq) &&
    typeof cursors === 'object' &&
    cursors !== null &&
    Object.values(cursors).every(isCount)
  )
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
