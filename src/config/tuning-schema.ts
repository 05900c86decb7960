import { z } from 'zod'
import { bytes, count, kib, mib, milliseconds, word } from './fields.ts'

export const raft = z.strictObject({
  tickMs: milliseconds(
    { initial: 20, min: 1, max: 100 },
    {
      about: 'Length of one tick; all Raft times are rounded up to whole ticks.',
      tradeOff: 'Shorter ticks time more finely and wake an idle process more often.'
    }
  ),
  heartbeatMs: milliseconds(
    { initial: 50, min: 5, max: 10_000 },
    {
      about: 'How often an idle leader tells its followers that it lives.',
      tradeOff: 'Rarer heartbeats cost less but need a longer election timeout.'
    }
  ),
  electionMinMs: milliseconds(
    { initial: 250, min: 20, max: 60_000 },
    {
      about:
        'Silence after which a follower may campaign; each waits a random time between this and twice this.',
      tradeOff: 'Shorter fails over faster and mistakes a stalled leader for a dead one more often.'
    }
  ),
  recampaignMinMs: milliseconds(
    { initial: 50, min: 10, max: 60_000 },
    {
      about:
        'Pause before a lost or split campaign is repeated; random between this and three times this.',
      tradeOff: 'Shorter ends a split vote sooner and makes the next split more likely.'
    }
  ),
  checkQuorumMs: milliseconds(
    { initial: 350, min: 20, max: 120_000 },
    {
      about:
        'A leader that has not heard from a majority for this long steps down and asks another to take over.',
      tradeOff: 'Shorter gives up a cut-off leader sooner; it must outlast two heartbeats.'
    }
  ),
  transferMs: milliseconds(
    { initial: 500, min: 20, max: 120_000 },
    {
      about: 'How long a planned hand-over of leadership may take before it is given up.',
      tradeOff: 'Proposals wait meanwhile.'
    }
  ),
  inflightMessages: count(
    { initial: 256, min: 1, max: 65_536 },
    {
      about: 'Append messages on their way to one follower before the leader waits for an answer.',
      tradeOff: 'More hides a longer round trip and costs memory per follower.'
    }
  ),
  inflightBytes: bytes(
    { initial: 8 * mib, min: 64 * kib, max: 1024 * mib },
    {
      about: 'Bytes of entries on their way to one follower before the leader waits for an answer.',
      tradeOff: 'More fills a long fat link and costs memory per follower.'
    }
  ),
  messageBytes: bytes(
    { initial: 512 * kib, min: 4 * kib, max: 8 * mib },
    {
      about: 'Bytes of entries put into one append message.',
      tradeOff: 'Larger is faster in bulk and delays what waits behind it on the link.'
    }
  ),
  uncommittedBytes: bytes(
    { initial: 64 * mib, min: 256 * kib, max: 4096 * mib },
    {
      about:
        'Entries a leader accepts before they are committed; beyond it proposals get OVERLOADED.',
      tradeOff: 'More rides out a longer stall of the followers and costs that much memory.'
    }
  )
})

export const limits = z.strictObject({
  frameBytes: bytes(
    { initial: mib, min: 16 * kib, max: 16 * mib },
    {
      about: 'Largest frame accepted from a client; links between nodes have their own bound.',
      tradeOff: 'A larger frame lets one client claim that much memory.'
    }
  ),
  bodyBytes: bytes(
    { initial: 64 * kib, min: 64, max: mib },
    {
      about: 'Largest message body; longer content travels by URL.',
      tradeOff: 'Large bodies delay the small ones behind them and fill the disks of every replica.'
    }
  ),
  unackedSendsPerConnection: count(
    { initial: 1000, min: 1, max: 100_000 },
    {
      about: 'Messages one client may have sent without an answer; beyond it SEND gets OVERLOADED.',
      tradeOff: 'More helps a bursting bot on a long link and costs memory per connection.'
    }
  ),
  sendsPerSecondPerConnection: count(
    { initial: 10_000, min: 0, max: 1_000_000 },
    {
      about:
        'Messages a second one client may send; beyond it SEND gets RATE_LIMITED. 0 sets no limit.',
      tradeOff: 'Less keeps one client from crowding out the others of its gateway.'
    }
  ),
  connectionsPerTransfer: count(
    { initial: 50_000, min: 1, max: 1_000_000 },
    {
      about: 'Client connections one gateway accepts.',
      tradeOff:
        'Each idle connection costs up to some 24 KiB (`ringset bench idle`); the process needs file descriptors for all.'
    }
  ),
  unauthenticatedConnections: count(
    { initial: 1000, min: 1, max: 100_000 },
    {
      about:
        'Connections of one gateway that have not proved who they are; beyond it new ones are refused.',
      tradeOff: 'More lets a herd reconnect faster and a flood of strangers cost more.'
    }
  ),
  handshakeMs: milliseconds(
    { initial: 5000, min: 100, max: 60_000 },
    {
      about: 'Time a new connection has to authenticate.',
      tradeOff: 'Longer is kinder to slow networks and to attackers.'
    }
  ),
  pushBacklogSoftBytes: bytes(
    { initial: mib, min: 16 * kib, max: 256 * mib },
    {
      about:
        'Unsent bytes of one client connection above which pushes are dropped; the heartbeat repairs them.',
      tradeOff: 'More smooths bursts and costs memory per slow client.'
    }
  ),
  pushBacklogHardBytes: bytes(
    { initial: 4 * mib, min: 64 * kib, max: 1024 * mib },
    {
      about: 'Unsent bytes of one client connection at which it is closed with SLOW_CONSUMER.',
      tradeOff: 'More keeps slow clients longer and costs memory per slow client.'
    }
  ),
  linkQueueBytes: bytes(
    { initial: 32 * mib, min: mib, max: 1024 * mib },
    {
      about:
        'Unsent bytes of one link between nodes above which packets are dropped (their senders retry).',
      tradeOff: 'More rides out a longer stall of the peer and costs memory per peer.'
    }
  )
})

export const presence = z.strictObject({
  heartbeatMinMs: milliseconds(
    { initial: 10_000, min: 500, max: 3_600_000 },
    {
      about: 'Shortest interval at which a client may announce its heartbeats.',
      tradeOff:
        'Shorter notices dead connections and lost pushes sooner and costs packets and battery.'
    }
  ),
  heartbeatMaxMs: milliseconds(
    { initial: 300_000, min: 1000, max: 3_600_000 },
    {
      about: 'Longest interval at which a client may announce its heartbeats.',
      tradeOff: 'Longer saves battery; a lost push may wait that long.'
    }
  ),
  transferLeaseMs: milliseconds(
    { initial: 10_000, min: 1000, max: 600_000 },
    {
      about:
        'A gateway that has not renewed its lease for this long is dead and its users are offline.',
      tradeOff:
        'Shorter clears dead routes sooner and drops everyone of a gateway that stalls for longer.'
    }
  )
})

export const arbiter = z.strictObject({
  announceMs: milliseconds(
    { initial: 500, min: 50, max: 60_000 },
    {
      about: 'How often every process tells the arbiter that it lives.',
      tradeOff: 'Rarer costs less and notices a death later.'
    }
  ),
  downAfterMs: milliseconds(
    { initial: 3000, min: 200, max: 600_000 },
    {
      about:
        'Silence after which the arbiter marks a process down in the table, unless other nodes hear it.',
      tradeOff: 'Shorter reacts sooner and makes more table epochs when processes stall.'
    }
  )
})

export const storage = z.strictObject({
  writeBufferBytes: bytes(
    { initial: 16 * mib, min: mib, max: 1024 * mib },
    {
      about: 'Memory LevelDB fills before it writes a sorted file.',
      tradeOff: 'More means fewer, larger compactions, more memory, and a longer recovery.'
    }
  ),
  cacheBytes: bytes(
    { initial: 32 * mib, min: mib, max: 16_384 * mib },
    {
      about: 'Memory for blocks LevelDB has read.',
      tradeOff: 'More makes reads of old messages faster.'
    }
  ),
  logTrailingEntries: count(
    { initial: 10_000, min: 0, max: 10_000_000 },
    {
      about: 'Applied entries kept in each Raft log for followers that lag.',
      tradeOff: 'More lets a replica be away longer without a snapshot and takes disk.'
    }
  ),
  reserveBytes: bytes(
    { initial: 256 * mib, min: 0, max: 1024 * 1024 * mib },
    {
      about:
        'Free space of the data folder below which routers refuse messages with DISK_NEARLY_FULL and leaders hand over. 0 sets no limit.',
      tradeOff: 'More leaves compaction and recovery room to work; less uses the disk further.'
    }
  )
})

export const log = z.strictObject({
  level: word(['debug', 'info', 'warn', 'error'], 'info', {
    about: 'Least severity that is written to the node log.',
    tradeOff: '`debug` writes a line for many events and slows a busy node.'
  })
})
