import { RingsetError } from '../base/errors.ts'
import type { Log } from '../base/ports.ts'
import { groupOfHardStateKey, hardStateRange, identityKey } from './keys.ts'
import { type MetaFound, type MetaState, readMetaFile } from './meta-file.ts'
import {
  correct,
  type FoundGroup,
  findGroup,
  type Loss,
  type RecoverOptions,
  randomId,
  readSealed
} from './recover-group.ts'
import { decodeIdentity, type Identity } from './state-codec.ts'
import { type FoundSupers, findSupers } from './super-records.ts'
import type { Level } from './write-batch.ts'

export interface RecoverDatabaseOptions extends RecoverOptions {
  readonly metaPath: string
  readonly node: string
  readonly log: Log
}

export interface Recovered {
  readonly identity: Identity
  readonly meta: MetaState
  readonly metaVersion: number
  /** Batches count on from here; above anything that was ever durable. */
  readonly sequence: number
  readonly groups: readonly FoundGroup[]
}

const wholeLoss = { rowsLost: true, promisesLost: true }

/** Reads everything, compares the database with itself and with the meta file, and corrects what does not agree. */
export async function recoverDatabase(options: RecoverDatabaseOptions): Promise<Recovered> {
  const { level, node, log } = options
  const metaFound = readMetaFile(options.metaPath)
  const meta = typeof metaFound === 'string' ? undefined : metaFound.state
  const stored = readSealed(level, identityKey, decodeIdentity)
  checkOwner(node, meta?.identity)
  checkOwner(node, stored.value)
  const supers = await findSupers(level)
  const names = new Set([...(await storedGroups(level)), ...(meta?.groups.keys() ?? [])])
  const groups: FoundGroup[] = []
  for (const name of names) groups.push(await findGroup(options, name, meta?.groups.get(name)))

  const loss = findLoss(metaFound, stored.value, supers, groups) ?? digestMismatch(supers, groups)
  let quarantined = false
  for (const group of groups) {
    const { state, damage, rowsLost } = group
    const own = damage === undefined ? undefined : { reason: damage, rowsLost, promisesLost: false }
    const lost = loss === undefined ? own : { ...loss, rowsLost: rowsLost || loss.rowsLost }
    correct(group, meta?.groups.get(state.name), lost)
    if (lost === undefined) continue
    quarantined = true
    log.error('storage_quarantined', { group: state.name, reason: lost.reason })
  }
  if (loss !== undefined && groups.length === 0) {
    log.warn('storage_started_afresh', { reason: loss.reason })
  }
  const known = meta?.identity ?? stored.value
  const keep = known !== undefined && !quarantined
  const identity = { node, incarnation: keep ? known.incarnation : randomId() }
  const watermark = meta?.watermark ?? 0
  return {
    identity,
    meta: {
      identity,
      watermark,
      databaseDamaged: meta?.databaseDamaged ?? false,
      groups: votesOf(meta, groups)
    },
    metaVersion: typeof metaFound === 'string' ? 0 : metaFound.version,
    sequence: Math.max(supers.newest?.sequence ?? 0, watermark),
    groups
  }
}

function checkOwner(node: string, found: Identity | undefined): void {
  if (found === undefined || found.node === node) return
  throw new RingsetError('WRONG_CLUSTER', 'the data folder belongs to another node', {
    node,
    found: found.node
  })
}

function findLoss(
  metaFound: MetaFound,
  stored: Identity | undefined,
  supers: FoundSupers,
  groups: readonly FoundGroup[]
): Loss | undefined {
  const { newest, gap } = supers
  const anything = stored !== undefined || newest !== undefined || groups.some(it => it.stored)
  if (gap !== undefined) return { reason: gap, ...wholeLoss }
  if (anything && (stored === undefined || newest === undefined)) {
    return { reason: 'the records of the database about itself are missing', ...wholeLoss }
  }
  if (metaFound === 'absent' || metaFound === 'damaged') {
    if (!anything) return undefined
    const reason = `the meta file is ${metaFound}; the log may be short`
    return { reason, rowsLost: false, promisesLost: true }
  }
  const { watermark, identity } = metaFound.state
  const sequence = newest?.sequence ?? 0
  if (sequence < watermark) {
    const reason = `the database ends at batch ${sequence}, but ${watermark} was durable`
    return { reason, rowsLost: false, promisesLost: false }
  }
  if (stored !== undefined && stored.incarnation !== identity.incarnation) {
    const reason = 'database and meta file are of different incarnations'
    return { reason, rowsLost: false, promisesLost: true }
  }
  return undefined
}

/** Says nothing when a group is damaged by itself: the sum cannot be right then, and its own checks have spoken. */
function digestMismatch(supers: FoundSupers, groups: readonly FoundGroup[]): Loss | undefined {
  if (supers.newest === undefined || groups.some(group => group.damage !== undefined)) {
    return undefined
  }
  let digest = 0
  for (const group of groups) if (group.stored) digest ^= group.digest
  if (digest >>> 0 === supers.newest.digest) return undefined
  return { reason: 'the groups do not add up to what the newest batch says', ...wholeLoss }
}

function votesOf(meta: MetaState | undefined, groups: readonly FoundGroup[]): MetaState['groups'] {
  const votes: MetaState['groups'] = new Map()
  for (const { state } of groups) {
    const { term, vote } = state.hardState
    const rowsDamaged = meta?.groups.get(state.name)?.rowsDamaged ?? false
    votes.set(state.name, { term, vote, rowsDamaged })
  }
  return votes
}

async function storedGroups(level: Level): Promise<string[]> {
  const keys = await level.keys({ ...hardStateRange, fillCache: false }).all()
  return keys.map(groupOfHardStateKey)
}
