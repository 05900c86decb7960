import { type ErrorCodeEntry, entry } from './error-code-entry.ts'

/** What a request meets, from the connection to the disk. */
export const requestErrors = {
  INTERNAL: entry(
    1,
    'unknown',
    false,
    'A ringset process met a state it never should.',
    'Read the node log around the time of the error and report it.'
  ),
  TIMEOUT: entry(
    2,
    'unknown',
    true,
    'No answer came within the deadline; the request may still take effect.',
    'Retry with the same message id; look at `ringset status` if it persists.'
  ),
  UNREACHABLE: entry(
    3,
    'not-done',
    true,
    'No connection to the peer could be made.',
    'Check that the process runs and that the address is right.'
  ),
  CANCELLED: entry(
    4,
    'unknown',
    false,
    'The caller or the process stopped before an answer came.',
    'If it is still wanted, repeat it: a message under the same id.'
  ),
  OVERLOADED: entry(
    5,
    'not-done',
    true,
    'A bounded queue is full.',
    'Slow down and retry after the given time.'
  ),
  UNSUPPORTED: entry(
    6,
    'not-done',
    false,
    'This process does not offer what was asked for.',
    'Ask a process with the right role, or one of a newer version.'
  ),
  FRAME_TOO_LARGE: entry(
    20,
    'not-done',
    false,
    'A frame announced more bytes than the limit.',
    'Split the message or raise `limits.frameBytes`.'
  ),
  BAD_FRAME: entry(
    21,
    'not-done',
    false,
    'Bytes on the connection are not a ringset frame.',
    'Check that the client speaks this protocol version.'
  ),
  BAD_PACKET: entry(
    22,
    'not-done',
    false,
    'A packet of a known kind has malformed or out-of-range fields.',
    'Compare the packet with docs/protocol.md.'
  ),
  UNKNOWN_KIND: entry(
    23,
    'not-done',
    false,
    'The packet kind is unknown here.',
    'Check versions; an unknown kind is answered, not fatal.'
  ),
  UNEXPECTED_PACKET: entry(
    24,
    'not-done',
    false,
    'The packet is not allowed at this point of the connection.',
    'Send CONNECT (or HELLO) first.'
  ),
  HANDSHAKE_TIMEOUT: entry(
    25,
    'not-done',
    true,
    'The first packet did not arrive in time.',
    'Send CONNECT right after the connection is made.'
  ),
  SLOW_CONSUMER: entry(
    26,
    'not-done',
    true,
    'The client read too slowly and its backlog passed the hard bound.',
    'Reconnect; nothing is lost, the cursors repair it.'
  ),
  IDLE_TIMEOUT: entry(
    27,
    'not-done',
    true,
    'Nothing was received for twice the announced heartbeat interval.',
    'Send PING in the announced interval.'
  ),
  TOO_MANY_CONNECTIONS: entry(
    28,
    'not-done',
    true,
    'The gateway has no room for another connection.',
    'Connect to another transfer.'
  ),
  BAD_TOKEN: entry(
    40,
    'not-done',
    false,
    'The connect token is malformed or its signature is wrong.',
    'Get a new token from your auth service (`ringset token UID`).'
  ),
  TOKEN_EXPIRED: entry(
    41,
    'not-done',
    false,
    'The connect token is past its expiry.',
    'Get a new token.'
  ),
  UNAUTHENTICATED: entry(
    42,
    'not-done',
    false,
    'The peer did not prove that it knows the cluster secret.',
    'Use the credential from the data folder of this cluster.'
  ),
  FORBIDDEN: entry(
    43,
    'not-done',
    false,
    'The caller is not a member of the session or not allowed to do this.',
    'Use a uid that belongs to the session.'
  ),
  WRONG_CLUSTER: entry(
    44,
    'not-done',
    false,
    'The peer belongs to another cluster.',
    'Check `--data` / `--connect`; cluster ids must match.'
  ),
  NOT_LEADER: entry(
    60,
    'not-done',
    true,
    'This replica does not lead its group.',
    'The reply names the leader; ask it.'
  ),
  NO_LEADER: entry(
    61,
    'not-done',
    true,
    'The group has no leader at the moment.',
    'Retry shortly; if it lasts, a majority of the group is down.'
  ),
  STALE_SLOT: entry(
    62,
    'not-done',
    true,
    'The request was routed by an older ownership of its slot.',
    'The reply carries the newer table; route again.'
  ),
  MOVED: entry(
    63,
    'not-done',
    true,
    'This set does not own the slot.',
    'The reply carries the table; route again.'
  ),
  SLOT_SEALED: entry(
    64,
    'not-done',
    true,
    'The slot is being handed to another set.',
    'Retry after the given time.'
  ),
  ROUTER_BEHIND: entry(
    65,
    'not-done',
    true,
    'The request knows a newer table than this router.',
    'Retry after the given time; the router fetches the table.'
  ),
  PROPOSAL_DROPPED: entry(
    66,
    'unknown',
    true,
    'Leadership changed while the request was being replicated.',
    'Retry with the same message id.'
  ),
  SET_UNAVAILABLE: entry(
    67,
    'not-done',
    true,
    'The set that owns the slot has no reachable router.',
    'Retry later; other sets are not affected.'
  ),
  NO_TABLE: entry(
    68,
    'not-done',
    true,
    'No routing table is known yet.',
    'Wait until the arbiter has a leader.'
  ),
  TRANSFER_EXPIRED: entry(
    69,
    'not-done',
    false,
    'The lease of this gateway instance ran out; its routes are gone.',
    'The gateway starts a new instance and its clients reconnect.'
  ),
  EPOCH_CONFLICT: entry(
    70,
    'not-done',
    false,
    'Two different tables carry one epoch.',
    'An arbiter lost state; see docs/operations.md.'
  ),
  REPLACED: entry(
    71,
    'not-done',
    false,
    'A newer start of the same process id has taken its place in the cluster.',
    'Stop one of the two processes, or give each its own id.'
  ),
  DISK_NEARLY_FULL: entry(
    73,
    'not-done',
    true,
    'The data folder of the router that leads has less free space than its reserve.',
    'Make room on the disk, or lower `storage.reserveBytes`; see docs/operations.md.'
  ),
  BODY_TOO_LARGE: entry(
    80,
    'not-done',
    false,
    'The message body is over the limit.',
    'Send media by URL, or raise `limits.bodyBytes`.'
  ),
  BAD_UID: entry(
    81,
    'not-done',
    false,
    'A uid is empty, over 64 bytes, or holds control characters.',
    'Use 1 to 64 bytes of UTF-8 without control characters.'
  ),
  BAD_SESSION: entry(
    82,
    'not-done',
    false,
    'The session id is malformed.',
    'Build p2p ids with the SDK (`p2pSession(a, b)`).'
  ),
  UNKNOWN_SESSION: entry(83, 'not-done', false, 'The session does not exist.', 'Check the id.'),
  DUPLICATE_EXPIRED: entry(
    84,
    'not-done',
    false,
    'The message id is older than the deduplication window of its device; it was handled before or given up.',
    'Never repeat a message after 64 newer ones of the same device in the session.'
  ),
  MESSAGE_ID_REUSED: entry(
    85,
    'not-done',
    false,
    'The message id was used before with another content.',
    'Count clientMsgId upwards and keep it over restarts, or use a new deviceId.'
  ),
  NOT_CONTIGUOUS: entry(
    86,
    'not-done',
    true,
    'An imported message does not follow the last one of the copy.',
    'The copy pulls the missing range by itself.'
  ),
  UNKNOWN_COMMAND: entry(
    87,
    'not-done',
    false,
    'The router does not know this command version.',
    'Upgrade the routers before the logics.'
  ),
  RATE_LIMITED: entry(
    88,
    'not-done',
    true,
    'The connection sends faster than its limit.',
    'Slow down; the reply says how long to wait.'
  ),
  KICKED: entry(
    89,
    'not-done',
    false,
    'Another connection of the same device or class took this one over.',
    'Do not reconnect by itself; ask the user.'
  )
} as const satisfies Record<string, ErrorCodeEntry>
