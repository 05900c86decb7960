import { ByteWriter } from '../base/bytes.ts'
import type { ErrorCode } from '../base/error-codes.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { Packet } from '../protocol/packet.ts'
import type { RoleEnv } from '../protocol/role.ts'
import type { Refusal } from '../raft/raft-api.ts'
import type { ProposeOutcome, ReplicaApi } from '../raft/replica-api.ts'
import type { SlotRange } from '../table/table.ts'
import { beginEntry, commandError, finishEntry } from './commands.ts'
import { Gathering } from './gathering.ts'
import type { RouterLimits } from './limits.ts'

/** The result of a command this router proposed for itself. */
type Done = (result: unknown) => void

/** The commands of one entry and who waits for each: a packet to answer, or a callback of this role. */
interface OpenEntry {
  /** 0: begun before a table was known, and no place for what is of a slot. */
  readonly slotCount: number
  readonly askers: EndpointId[]
  readonly requests: (Packet | undefined)[]
  readonly dones: (Done | undefined)[]
  bytes: number
}

interface ProposalsOptions {
  readonly env: RoleEnv
  readonly replica: ReplicaApi
  readonly limits: RouterLimits
  /** Tenants that the log does not name yet. */
  tenantsToTell(): readonly SlotRange[]
  /** A request's command was applied, or certainly or possibly was not (`CommandError`). */
  settle(asker: EndpointId, request: Packet, result: unknown): void
}

/**
 * Gathers the commands of a turn into one log entry (more only when a bound is reached), and of several turns where that pays. `open` → write the command →
 * `request` or `own`, which closes it.
 */
export class Proposals {
  readonly #options: ProposalsOptions
  readonly #writer = new ByteWriter(64 * 1024)
  readonly #gathering: Gathering
  #open: OpenEntry | undefined
  #full: { data: Buffer; entry: OpenEntry }[] = []
  #pendingCommands = 0
  #pendingBytes = 0
  #lastBatch = 0
  #wakesAtMs = Number.NEGATIVE_INFINITY

  constructor(options: ProposalsOptions) {
    this.#options = options
    this.#gathering = new Gathering(options.limits.gatherMs)
  }

  /** Commands whose outcome is not known yet. */
  get pending(): number {
    return this.#pendingCommands
  }

  /** Commands of the last entry. */
  get lastBatch(): number {
    return this.#lastBatch
  }

  /** A writer placed where the next command goes, or undefined when too much is pending already. */
  open(): ByteWriter | undefined {
    const { limits, env } = this.#options
    const open = this.#open
    const openBytes = open === undefined ? 0 : this.#writer.length
    if (
      this.#pendingCommands >= limits.pendingCommands ||
      this.#pendingBytes + openBytes >= limits.pendingBytes
    ) {
      return undefined
    }
    const slotCount = env.table().table?.slotCount ?? 0
    if (open === undefined) {
      beginEntry(this.#writer, env.wallMs(), slotCount, this.#options.tenantsToTell())
      this.#open = { slotCount, askers: [], requests: [], dones: [], bytes: 0 }
    } else if (
      open.slotCount !== slotCount ||
      open.askers.length >= limits.entryCommands ||
      this.#writer.length >= limits.entryBytes
    ) {
      this.#close(open)
      return this.open()
    }
    return this.#writer
  }

  /** The command just written answers `request`. */
  request(asker: EndpointId, request: Packet): void {
    this.#add(asker, request, undefined)
  }

  /** The command just written is this router's own; `done` gets its result or a `CommandError`, exactly once. */
  own(done: Done): void {
    this.#add('', undefined, done)
  }

  /**
   * While the disk is at work on the last entry, the next one grows: under load its size follows the pace of the disk. It waits longer while that brings in
   * more.
   */
  flush(): void {
    const { env, replica } = this.#options
    if (this.#full.length === 0 && (replica.appending() || this.#gathers())) return
    if (this.#open !== undefined) this.#close(this.#open)
    if (this.#full.length === 0) return
    const full = this.#full
    this.#full = []
    const commands = full.reduce((sum, { entry }) => sum + entry.askers.length, 0)
    this.#gathering.proposed(env.nowMs(), commands)
    let refusal: Refusal | undefined
    for (const { data, entry } of full) {
      // What follows may build upon what was refused: nothing of a turn is logged without all that was written before it.
      if (refusal !== undefined) {
        this.#fail(entry, refusalCode(refusal))
        continue
      }
      this.#lastBatch = entry.askers.length
      env.metrics.observe('router_entry_commands', entry.askers.length)
      refusal = replica.propose(data, outcome => this.#outcome(entry, outcome))
      if (refusal !== undefined) this.#fail(entry, refusalCode(refusal))
    }
  }

  /**
   * What was written under one leadership is never logged under another: it may build upon what only that one knew. Nobody has seen any of it
   * yet, so whoever waits for it may safely try again.
   */
  onLeadership(): void {
    if (this.#open !== undefined) this.#close(this.#open)
    const unlogged = this.#full
    this.#full = []
    for (const { entry } of unlogged) this.#fail(entry, 'NO_LEADER')
  }

  #gathers(): boolean {
    if (this.#open === undefined) return false
    const { env } = this.#options
    const nowMs = env.nowMs()
    const waitMs = this.#gathering.waitMs(nowMs, this.#open.askers.length)
    if (waitMs === 0) return false
    if (nowMs >= this.#wakesAtMs) {
      this.#wakesAtMs = nowMs + waitMs
      env.flushIn(waitMs)
    }
    return true
  }

  #add(asker: EndpointId, request: Packet | undefined, done: Done | undefined): void {
    const open = this.#open!
    open.askers.push(asker)
    open.requests.push(request)
    open.dones.push(done)
    this.#pendingCommands++
  }

  #close(open: OpenEntry): void {
    this.#open = undefined
    const data = finishEntry(this.#writer, open.askers.length)
    open.bytes = data.length
    this.#pendingBytes += data.length
    this.#full.push({ data, entry: open })
  }

  #outcome(entry: OpenEntry, outcome: ProposeOutcome): void {
    if (outcome === 'lost') {
      this.#fail(entry, 'PROPOSAL_DROPPED')
      return
    }
    this.#release(entry)
    const { results } = outcome
    for (let i = 0; i < results.length; i++) this.#settle(entry, i, results[i])
  }

  #fail(entry: OpenEntry, code: ErrorCode): void {
    this.#release(entry)
    const result = commandError(code)
    for (let i = 0; i < entry.askers.length; i++) this.#settle(entry, i, result)
  }

  #settle(entry: OpenEntry, i: number, result: unknown): void {
    const request = entry.requests[i]
    if (request !== undefined) this.#options.settle(entry.askers[i]!, request, result)
    else entry.dones[i]!(result)
  }

  #release(entry: OpenEntry): void {
    this.#pendingCommands -= entry.askers.length
    this.#pendingBytes -= entry.bytes
  }
}

export function refusalCode(refusal: Refusal): ErrorCode {
  if (refusal === 'notLeader') return 'NOT_LEADER'
  return refusal === 'overloaded' ? 'OVERLOADED' : 'NO_LEADER'
}
