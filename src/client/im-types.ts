import type { RingsetError } from '../base/errors.ts'
import type { Log } from '../base/ports.ts'
import type { DeviceClass, Message } from '../protocol/kinds.ts'
import type { ClientState } from './client-core.ts'
import type { CursorStore } from './cursor-store.ts'

export interface ImClientOptions {
  readonly uid: string
  /** A connect token, or where to get a fresh one for each attempt. */
  readonly token: string | (() => Promise<string>)
  /** `tcp://host:port` of some transfers; the rest is learned. */
  readonly addresses: readonly string[]
  /** Names this installation. Default: the store's, else a random one for this instance. */
  readonly deviceId?: string
  /** Default `desktop`. */
  readonly class?: DeviceClass
  /**
   * Keeps cursors and message ids over restarts. Without it every run begins with the whole history
   * that is kept.
   */
  readonly store?: CursorStore
  readonly log?: Log
  /**
   * How long a message is repeated before its promise rejects with TIMEOUT (it may still have been
   * sent). Default 60 s.
   */
  readonly sendDeadlineMs?: number
  /** How long `connect` tries before it rejects. Default 30 s. */
  readonly connectDeadlineMs?: number
}

/** A message of a session, one's own included. */
export class ImMessage {
  readonly session: string
  /** Position in the session: 1, 2, 3 …, and far higher behind a break. */
  readonly msgid: number
  /** The sender's uid and device. */
  readonly from: string
  readonly deviceId: string
  readonly clientMsgId: number
  /** 0 text, 1 custom bytes, 2 media URL, 3 break: from nobody (''), where messages may have been lost with their set; its text is the last msgid before it. */
  readonly type: number
  readonly body: Buffer
  /** When the session's home accepted it, by its wall clock. */
  readonly atMs: number

  constructor(session: string, message: Message) {
    this.session = session
    this.msgid = message.msgid
    this.from = message.from
    this.deviceId = message.deviceId
    this.clientMsgId = message.clientMsgId
    this.type = message.type
    this.body = message.body
    this.atMs = message.atMs
  }

  /** The body as UTF-8. */
  get text(): string {
    return this.body.toString('utf8')
  }
}

/**
 * Gets every message of the user's sessions once per device, in the order of each session. What it
 * throws, or its promise's rejection, means "not dealt with": the message is offered again after a
 * second, and its session waits.
 */
export type MessageListener = (message: ImMessage) => void | Promise<void>

/** @param error why it left the state before. */
export type StateListener = (state: ClientState, error: RingsetError | undefined) => void

export interface SendOptions {
  readonly session: string
  /** 0 text (UTF-8), 1 custom bytes, 2 media URL. */
  readonly type: number
  readonly body: Buffer | string
  /** Overrides `sendDeadlineMs`. */
  readonly deadlineMs?: number
}

/** Where a sent message stands, for ever: on disk on a majority of its home set. */
export interface Sent {
  readonly session: string
  readonly msgid: number
  /** An earlier repetition had been accepted already. */
  readonly duplicate: boolean
  readonly atMs: number
}

export interface HistoryOptions {
  readonly session: string
  /** Oldest msgid wanted; default: as many as `limit` before the newest. */
  readonly from?: number
  /** At most so many; default 100, 1,000 at most. */
  readonly limit?: number
  /** Default 10 s. */
  readonly deadlineMs?: number
}

export interface History {
  /** Oldest msgid still kept, and newest. */
  readonly first: number
  readonly latest: number
  /** Ascending, without a gap; fewer than asked for when they would be too large. */
  readonly messages: readonly ImMessage[]
}
