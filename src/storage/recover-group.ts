import { randomBytes } from 'node:crypto'
import { assert, RingsetError } from '../base/errors.ts'
import type { HardState } from '../raft/types.ts'
import { GroupDigest } from './group-digest.ts'
import { GroupLog } from './group-log.ts'
import type { GroupState } from './group-state.ts'
import { GroupKeys, groupNameLimitBytes, type KeyRange, maxGeneration, maxIndex } from './keys.ts'
import { decodeRecord, type LogRecord } from './log-record.ts'
import type { MetaGroup } from './meta-file.ts'
import { unseal } from './seal.ts'
import {
  decodeHardState,
  decodeInstall,
  decodeLogStart,
  decodeMembership,
  decodeProgress,
  decodeStanding,
  type LogStart
} from './state-codec.ts'
import type { Level } from './write-batch.ts'

/** A group as the database has it, with what is wrong with it alone. */
export interface FoundGroup {
  readonly state: GroupState
  /** False: the group is known from the meta file only. */
  readonly stored: boolean
  readonly digest: number
  /** Records below the start that are not swept yet. */
  readonly sweepable: readonly number[]
  readonly damage: string | undefined
  /** The damage reaches the rows: they do not stand for `applied`, or that is unknown. */
  readonly rowsLost: boolean
  /** What is stored must be replaced; set by `correct`. */
  corrected: boolean
}

/** Why a replica may not take part, and what is certain no more. */
export interface Loss {
  readonly reason: string
  /** What is left is not the state of any moment (a batch is missing in the middle), so rows cannot be trusted. */
  readonly rowsLost: boolean
  /** Term and vote may be older than what the replica has answered: part of the folder is missing, or of another time. */
  readonly promisesLost: boolean
}

export interface RecoverOptions {
  readonly level: Level
  readonly tailLimitBytes: number
  /** A record cannot be read back while running. */
  damaged(error: RingsetError): void
}

type Read<T> = { readonly value: T | undefined; readonly bad: boolean }

/** Reads and checks one group: small rows, then the whole log, record by record. */
export async function findGroup(
  options: RecoverOptions,
  name: string,
  meta: MetaGroup | undefined
): Promise<FoundGroup> {
  const { level } = options
  const keys = new GroupKeys(name)
  const hardState = readSealed(level, keys.hardState, decodeHardState)
  const progress = readSealed(level, keys.progress, decodeProgress)
  const start = readSealed(level, keys.logStart, decodeLogStart)
  const membership = readSealed(level, keys.membership, decodeMembership)
  const install = readSealed(level, keys.install, decodeInstall)
  const quarantine = readSealed(level, keys.quarantine, body => body.toString('utf8'))
  const standing = readSealed(level, keys.standing, decodeStanding)
  const heads = [hardState, progress, start]
  const stored = heads.some(row => row.value !== undefined || row.bad)
  const headBad =
    stored &&
    (heads.some(row => row.value === undefined) || membership.bad || quarantine.bad || standing.bad)

  const term = Math.max(hardState.value?.term ?? 0, meta?.term ?? 0)
  const found = await readLog(options, keys, name, start.value ?? emptyStart, term)
  const generation = progress.value?.generation ?? 0
  const state: GroupState = {
    name,
    keys,
    log: found.log,
    hardState: hardState.value ?? { term: 0, vote: 0, commit: 0 },
    applied: progress.value?.applied ?? 0,
    generation,
    membership: membership.value,
    install: install.value,
    quarantine: quarantine.value,
    standing: standing.value,
    nextGeneration: (await newestGeneration(level, keys, generation, install.value?.generation)) + 1
  }
  const verdict = judge(state, headBad, found.damage, meta?.rowsDamaged ?? false)
  const digest = new GroupDigest(name).of(state)
  const below = keys.logRange(0, found.log.start.index + 1)
  const sweepable = (await level.keys({ ...below, fillCache: false }).all()).map(key =>
    keys.indexOfLogKey(key)
  )
  return { state, stored, digest, sweepable, ...verdict, corrected: false }
}

function judge(
  state: GroupState,
  headBad: boolean,
  logDamage: string | undefined,
  rowsDamaged: boolean
): { damage: string | undefined; rowsLost: boolean } {
  const { log, applied, hardState } = state
  if (headBad) {
    return { damage: 'the record of term, applied index or log start is damaged', rowsLost: true }
  }
  if (rowsDamaged) return { damage: 'a row failed its checksum', rowsLost: true }
  const last = log.lastIndex()
  if (applied > last || applied < log.start.index) {
    return { damage: logDamage ?? 'the rows are ahead of the log', rowsLost: true }
  }
  if (logDamage !== undefined) return { damage: logDamage, rowsLost: false }
  if (hardState.commit > last) {
    return { damage: 'the log ends before the commit index', rowsLost: false }
  }
  return { damage: undefined, rowsLost: false }
}

/** A group of which the database holds nothing. Term and vote may be known all the same: the meta file is written first. */
export function freshGroup(
  options: RecoverOptions,
  name: string,
  meta: MetaGroup | undefined
): GroupState {
  const nameBytes = Buffer.byteLength(name, 'utf8')
  assert(nameBytes > 0 && nameBytes <= groupNameLimitBytes, 'a group has a short name', { name })
  const keys = new GroupKeys(name)
  return {
    name,
    keys,
    log: newLog(options, keys, name, emptyStart),
    hardState: { term: meta?.term ?? 0, vote: meta?.vote ?? 0, commit: 0 },
    applied: 0,
    generation: 0,
    membership: undefined,
    install: undefined,
    quarantine: undefined,
    standing: undefined,
    nextGeneration: 1
  }
}

/**
 * Makes the state one that a replica can start from. With `rowsLost` it starts from empty rows, without a commit index (which
 * of the log's entries are committed cannot be told then), and without a log unless the log reaches back to the first entry;
 * with `promisesLost` it is nobody's member any more, as one that has lost everything. A leader heals it.
 */
export function correct(
  found: FoundGroup,
  meta: MetaGroup | undefined,
  loss: Loss | undefined
): void {
  const { state } = found
  if (meta !== undefined) state.hardState = newerVote(state.hardState, meta)
  if (loss !== undefined) state.quarantine = loss.reason
  if (loss?.promisesLost) {
    const peers = state.standing?.peers ?? []
    state.standing = { incarnation: randomId(), member: false, peers }
  }
  let commit = 0
  if (loss?.rowsLost) {
    state.applied = 0
    state.generation = state.nextGeneration++
    state.install = undefined
    if (state.log.start.index > 0) {
      state.log.reset(0, 0)
      state.log.discard(found.sweepable)
    }
  } else {
    commit = Math.min(Math.max(state.hardState.commit, state.applied), state.log.lastIndex())
  }
  state.hardState = { ...state.hardState, commit }
  const changed = new GroupDigest(state.name).of(state) !== found.digest
  found.corrected = changed || loss !== undefined
}

export function randomId(): number {
  return randomBytes(6).readUIntBE(0, 6) || 1
}

/** The meta file is written before the database, so that it may be ahead; after its loss the database is. */
function newerVote(stored: HardState, meta: MetaGroup): HardState {
  if (meta.term < stored.term) return stored
  if (meta.term === stored.term && stored.vote !== 0) return stored
  return { ...stored, term: meta.term, vote: meta.vote }
}

/** Ranges that hold nothing live: dropped log records, generations that were given up. */
export function garbageOf(state: GroupState): KeyRange[] {
  const { keys, log, generation, install, nextGeneration } = state
  const ranges = [keys.logRange(0, log.start.index + 1)]
  const live = [generation, ...(install === undefined ? [] : [install.generation])]
  let from = 0
  for (const kept of live.sort((a, b) => a - b)) {
    if (kept > from) ranges.push(keys.rowRange(from, kept))
    from = kept + 1
  }
  if (nextGeneration > from) ranges.push(keys.rowRange(from, nextGeneration))
  return ranges
}

const emptyStart: LogStart = { index: 0, term: 0, chain: 0 }
const scanRows = 128
const scanBytes = 1024 * 1024

/** Takes over the records from the start on, as far as each follows the one before. */
async function readLog(
  options: RecoverOptions,
  keys: GroupKeys,
  name: string,
  start: LogStart,
  term: number
): Promise<{ log: GroupLog; damage: string | undefined }> {
  const log = newLog(options, keys, name, start)
  let damage: string | undefined
  const discard: number[] = []
  const iterator = options.level.iterator({
    ...keys.logRange(start.index + 1, maxIndex),
    fillCache: false,
    highWaterMarkBytes: scanBytes
  })
  try {
    for (;;) {
      const rows = await iterator.nextv(scanRows)
      if (rows.length === 0) break
      for (const [key, value] of rows) {
        const first = keys.indexOfLogKey(key)
        const record =
          damage === undefined ? follows(log, first, decodeRecord(value), term) : undefined
        if (record !== undefined) log.restore(record)
        else {
          damage ??= `the log record at ${first} is damaged or does not follow the one before`
          discard.push(first)
        }
      }
    }
  } catch (error) {
    damage ??= `the log cannot be read after ${log.lastIndex()}: ${(error as Error).message}`
  } finally {
    await iterator.close()
  }
  log.discard(discard)
  return { log, damage }
}

function newLog(options: RecoverOptions, keys: GroupKeys, name: string, start: LogStart): GroupLog {
  return new GroupLog(start, options.tailLimitBytes, first => {
    const record = loadRecord(options.level, keys, first)
    if (record !== undefined) return record
    const error = new RingsetError('DATA_DAMAGED', 'a log record fails its checksum', {
      group: name,
      first
    })
    options.damaged(error)
    throw error
  })
}

function follows(
  log: GroupLog,
  first: number,
  record: LogRecord | undefined,
  term: number
): LogRecord | undefined {
  if (record === undefined) return undefined
  const { entries, chainBefore } = record
  if (first !== log.lastIndex() + 1 || entries[0]!.index !== first) return undefined
  if (chainBefore !== log.chain) return undefined
  let before = log.term(log.lastIndex()) ?? 0
  for (const entry of entries) {
    if (entry.term < before || entry.term > term) return undefined
    before = entry.term
  }
  return record
}

function loadRecord(level: Level, keys: GroupKeys, first: number): LogRecord | undefined {
  try {
    const value = level.getSync(keys.log(first))
    return value === undefined ? undefined : decodeRecord(value)
  } catch {
    return undefined
  }
}

/** Reads one sealed row. */
export function readSealed<T>(level: Level, key: Buffer, decode: (body: Buffer) => T): Read<T> {
  try {
    const value = level.getSync(key)
    if (value === undefined) return { value: undefined, bad: false }
    const body = unseal(key, value)
    if (body === undefined) return { value: undefined, bad: true }
    return { value: decode(body), bad: false }
  } catch {
    return { value: undefined, bad: true }
  }
}

async function newestGeneration(
  level: Level,
  keys: GroupKeys,
  live: number,
  installing: number | undefined
): Promise<number> {
  const range = keys.rowRange(0, maxGeneration)
  const [newest] = await level.keys({ ...range, reverse: true, limit: 1, fillCache: false }).all()
  const stored = newest === undefined ? 0 : keys.generationOfRowKey(newest)
  return Math.max(stored, live, installing ?? 0)
}
