import {
  blob,
  bool,
  type Field,
  id48,
  list,
  oneOf,
  optional,
  struct,
  text,
  u8,
  uint,
  type ValueOf
} from './fields.ts'

/** Hard bounds of packet fields; configured limits may only be smaller. */
export const hardLimits = {
  frameBytes: 16 * 1024 * 1024,
  bodyBytes: 1024 * 1024,
  uidBytes: 64,
  deviceIdBytes: 64,
  /** `p2p/` + two escaped uids. */
  sessionBytes: 400,
  nameBytes: 128,
  rowKeyBytes: 2_048,
  listItems: 10_000,
  /** Nodes that one OBSERVE asks about. */
  suspects: 256
} as const

export const deviceClasses = ['mobile', 'desktop', 'web', 'bot'] as const
export type DeviceClass = (typeof deviceClasses)[number]

const uid = text(hardLimits.uidBytes)
const deviceId = text(hardLimits.deviceIdBytes)
const session = text(hardLimits.sessionBytes)
const name = text(hardLimits.nameBytes)
const body = blob(hardLimits.bodyBytes)

/** One message of a timeline. `type`: 0 text (UTF-8), 1 custom bytes, 2 media URL, 3 break (eras.ts), which only routers make; 4–255 reserved. */
export const message = struct(
  {
    msgid: uint(),
    from: uid,
    deviceId,
    clientMsgId: uint(),
    type: u8(),
    /** Wall clock of the home set's leader when it accepted the message; ms since 1970. */
    atMs: uint(),
    body
  },
  'message'
)
export type Message = ValueOf<typeof message>

/** Where one device of a user is connected. All four ids fence it: see docs/architecture.md, presence. */
export const route = struct(
  {
    deviceId,
    class: oneOf(deviceClasses),
    transferId: name,
    transferBootId: id48(),
    connId: uint(),
    connSeq: uint(),
    sinceMs: uint()
  },
  'route'
)
export type Route = ValueOf<typeof route>

/** "I hold this session without a gap up to msgid." */
export const cursor = struct({ session, msgid: uint() }, 'cursor')
export type Cursor = ValueOf<typeof cursor>

/** A run of messages of one session, contiguous and ascending; `first` is the oldest msgid still kept, `latest` the newest. */
export const page = struct(
  { session, first: uint(), latest: uint(), messages: list(message, hardLimits.listItems) },
  'page'
)
export type Page = ValueOf<typeof page>

/** Who leads a set's router group, as far as the sender knows. Newest term wins. */
export const leaderHint = struct({ setId: name, replicaId: u8(), term: uint() }, 'leaderHint')
export type LeaderHint = ValueOf<typeof leaderHint>

/** Messages `from` to `to` of a session, both included. */
export const sessionRange = struct({ session, from: uint(), to: uint() })
export type SessionRange = ValueOf<typeof sessionRange>

/** `sessions`: which there are, and how far · `messages`: those of `ranges` · `rows`: all else, once the slot is sealed · `seal`. */
export const slotParts = ['sessions', 'messages', 'rows', 'seal'] as const

const empty = struct({})
const connection = struct({ uid, route })
const endpoints = list(struct({ index: u8(), id: name }), 255)
const cursors = list(cursor, hardLimits.listItems)

const appendFields = { session, uid, deviceId, clientMsgId: uint(), type: u8(), body }
const appended = struct({ msgid: uint(), duplicate: bool(), atMs: uint() })
const historyRange = struct({ uid, session, from: uint(), limit: uint() })
const syncRequest = struct({ uid, deviceId, full: bool(), cursors })
const syncAnswer = struct({ pages: list(page, hardLimits.listItems), more: bool() })

/**
 * Every packet kind: number on the wire (never re-used) and payload layout. Requests are answered by the kind with `_OK`
 * behind the name, or by ERROR; the answer repeats the request's (bootId, sequence).
 */
export const kinds = {
  // Any link
  CHALLENGE: kind(1, struct({ nonce: blob(32) })),
  HELLO: kind(
    2,
    struct({
      nodeId: name,
      bootId: id48(),
      purpose: oneOf(['node', 'logic-client']),
      endpoints,
      nonce: blob(32),
      mac: blob(32)
    })
  ),
  WELCOME: kind(
    3,
    struct({
      nodeId: name,
      bootId: id48(),
      endpoints,
      mac: blob(32),
      hints: list(leaderHint, 1_000)
    })
  ),
  ERROR: kind(
    4,
    struct({
      code: uint(),
      text: text(1_000),
      retryAfterMs: uint(),
      hint: optional(leaderHint)
    })
  ),
  /** Asks for the receiver's routing table; the table itself rides on the TABLE answer as on any packet. */
  TABLE_PULL: kind(5, empty),
  TABLE: kind(6, empty),
  LINK_PING: kind(7, empty),
  LINK_PONG: kind(8, empty),

  // Client and transfer
  CONNECT: kind(
    16,
    struct({
      token: text(1_024),
      deviceId,
      class: oneOf(deviceClasses),
      sdkVersion: text(32),
      connSeq: uint()
    })
  ),
  CONNECTED: kind(
    17,
    struct({
      bootId: id48(),
      connId: uint(),
      heartbeatMinMs: uint(),
      heartbeatMaxMs: uint(),
      serverTimeMs: uint(),
      bodyLimitBytes: uint()
    })
  ),
  REDIRECT: kind(18, struct({ setId: name, addresses: list(text(256), 64) })),
  SEND: kind(19, struct({ clientMsgId: uint(), session, type: u8(), body })),
  ACK: kind(
    20,
    struct({ clientMsgId: uint(), session, msgid: uint(), duplicate: bool(), atMs: uint() })
  ),
  PUSH: kind(21, struct({ pages: list(page, hardLimits.listItems) })),
  PUSH_ACK: kind(22, struct({ cursors })),
  /** `intervalMs`: when the next PING will come at the latest. `full`: the cursors are all the device has. */
  PING: kind(23, struct({ intervalMs: uint(), full: bool(), cursors })),
  /** Ends the answer to PING; what was missing came before it as PUSH. `more`: ask again, there is more than fits one answer. */
  PONG: kind(24, struct({ serverTimeMs: uint(), more: bool() })),
  HISTORY: kind(25, struct({ session, from: uint(), limit: uint() })),
  HISTORY_OK: kind(26, page),
  KICK: kind(27, struct({ reason: name, by: deviceId })),
  /** `addresses`: where to go instead, if there is anywhere. */
  RECONNECT: kind(28, struct({ withinMs: uint(), addresses: list(text(256), 64) })),
  /** The client leaves on purpose. */
  BYE: kind(29, empty),

  // Transfer and logic
  OPEN: kind(32, connection),
  OPEN_OK: kind(33, empty),
  CLOSE: kind(34, connection),
  CLOSE_OK: kind(35, empty),
  SUBMIT: kind(36, struct(appendFields)),
  SUBMIT_OK: kind(37, appended),
  CATCH_UP: kind(38, syncRequest),
  CATCH_UP_OK: kind(39, syncAnswer),
  READ_PAGE: kind(40, historyRange),
  READ_PAGE_OK: kind(41, page),

  // Logic (or any logic client) and router
  APPEND: kind(64, struct(appendFields)),
  APPEND_OK: kind(65, appended),
  REGISTER: kind(66, connection),
  REGISTER_OK: kind(67, empty),
  UNREGISTER: kind(68, connection),
  UNREGISTER_OK: kind(69, struct({ removed: bool() })),
  LOOKUP: kind(70, struct({ uids: list(uid, 1_000) })),
  LOOKUP_OK: kind(71, struct({ users: list(struct({ uid, routes: list(route, 1_000) }), 1_000) })),
  LATEST: kind(72, struct({ sessions: list(session, 1_000) })),
  LATEST_OK: kind(73, struct({ cursors })),
  HISTORY_READ: kind(74, historyRange),
  HISTORY_READ_OK: kind(75, page),
  SYNC: kind(76, syncRequest),
  SYNC_OK: kind(77, syncAnswer),
  SEQUENCE: kind(78, struct({ name, count: uint() })),
  SEQUENCE_OK: kind(79, struct({ first: uint(), count: uint() })),
  /** A transfer's lease; kept in the leader's memory, not logged. */
  RENEW: kind(80, struct({ transferId: name, transferBootId: id48(), connections: uint() })),
  RENEW_OK: kind(81, struct({ leaseMs: uint() })),

  // Router and transfer
  DELIVER: kind(
    88,
    struct({
      transferBootId: id48(),
      items: list(
        struct({ connIds: list(uint(), hardLimits.listItems), page }),
        hardLimits.listItems
      )
    })
  ),
  /** A newer connection replaced this one. */
  EVICT: kind(89, struct({ transferBootId: id48(), connId: uint(), reason: name, by: deviceId })),

  // Router and router, arbiter and arbiter
  RAFT: kind(96, struct({ data: blob(hardLimits.frameBytes) })),
  /** What is left to know of a slot on its way, asked by the set that gets it. `part`: see docs/slot-moves.md. */
  SLOT_READ: kind(
    100,
    struct({
      slot: uint(),
      epoch: uint(),
      part: oneOf(slotParts),
      after: text(hardLimits.rowKeyBytes),
      ranges: list(sessionRange, 1_000)
    })
  ),
  /** `next`: where to go on from, empty at the end. */
  SLOT_READ_OK: kind(
    101,
    struct({
      sealed: bool(),
      next: text(hardLimits.rowKeyBytes),
      sessions: list(cursor, hardLimits.listItems),
      messages: list(struct({ session, message }), hardLimits.listItems),
      rows: list(
        struct({ key: text(hardLimits.rowKeyBytes), value: blob(hardLimits.frameBytes) }),
        hardLimits.listItems
      )
    })
  ),
  /** Items `firstPosition`, `firstPosition + 1`, … of the channel sourceSet → targetSet, routed by the table of `routeEpoch`. */
  CHANNEL: kind(
    98,
    struct({
      sourceSet: name,
      targetSet: name,
      routeEpoch: uint(),
      firstPosition: uint(),
      items: list(struct({ session, message }), hardLimits.listItems)
    })
  ),
  /** Everything up to `position` is applied at the target. */
  CHANNEL_OK: kind(99, struct({ position: uint() })),

  // Anybody and the arbiter
  ANNOUNCE: kind(
    112,
    struct({
      role: oneOf(['transfer', 'logic', 'router']),
      id: name,
      setId: name,
      nodeId: name,
      bootId: id48(),
      address: text(256),
      clientAddresses: list(text(256), 16),
      version: text(32),
      stopping: bool(),
      load: uint()
    })
  ),
  ANNOUNCE_OK: kind(113, empty),
  /**
   * `imported`: the new set has all that there is. `stuck`: the old one has been sealed for too long. `clean`: of no slot, nothing is left
   * in the reporter's set, by the table of `epoch`, in which it drains.
   */
  MOVE_REPORT: kind(
    114,
    struct({ slot: uint(), epoch: uint(), outcome: oneOf(['imported', 'stuck', 'clean']) })
  ),
  MOVE_REPORT_OK: kind(115, empty),

  // Arbiter and observer, observer and observer
  /** Whether the receiver can talk to these lives of nodes right now. */
  OBSERVE: kind(
    116,
    struct({
      suspects: list(struct({ nodeId: name, bootId: id48() }), hardLimits.suspects)
    })
  ),
  /** `heard`: in the order of the question. */
  OBSERVE_OK: kind(117, struct({ heard: list(bool(), hardLimits.suspects) })),
  PROBE: kind(118, empty),
  /** Of the process that answers. */
  PROBE_OK: kind(119, struct({ bootId: id48() }))
} as const satisfies Record<string, Kind<never> | Kind<unknown>>

export interface Kind<T> {
  readonly number: number
  readonly payload: Field<T>
}

export type KindName = keyof typeof kinds
export type PayloadOf<K extends KindName> = ValueOf<(typeof kinds)[K]['payload']>

function kind<T>(number: number, payload: Field<T>): Kind<T> {
  return { number, payload }
}
