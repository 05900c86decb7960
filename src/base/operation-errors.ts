import { type ErrorCodeEntry, entry } from './error-code-entry.ts'

/** What whoever runs a cluster meets: its configuration, its data, its processes and its groups. */
export const operationErrors = {
  CONFIG_INVALID: entry(
    100,
    'not-done',
    false,
    'The configuration breaks a rule.',
    'The message names file, line, field and rule.'
  ),
  ALREADY_RUNNING: entry(
    101,
    'not-done',
    false,
    'A process already uses this data folder or port.',
    'Stop it (`ringset down`), or choose another `--data` or other ports.'
  ),
  NOT_RUNNING: entry(
    102,
    'not-done',
    false,
    'No cluster runs from this data folder.',
    'Start one with `ringset up`.'
  ),
  NODE_UNKNOWN: entry(
    103,
    'not-done',
    false,
    'The cluster has no node of that name.',
    '`ringset status` lists the nodes.'
  ),
  DISK_FAILED: entry(
    104,
    'unknown',
    false,
    'A write or fsync failed; the process stops rather than guess.',
    'Check the disk, then restart the node.'
  ),
  DATA_DAMAGED: entry(
    105,
    'not-done',
    false,
    'The data folder fails its checksums.',
    'Wipe the node and let it catch up, see docs/operations.md.'
  ),
  DATA_LOCKED: entry(
    106,
    'not-done',
    false,
    'Another process holds the database lock.',
    'Stop that process first.'
  ),
  USAGE: entry(
    107,
    'not-done',
    false,
    'The command line is not understood.',
    'Run the command with --help.'
  ),
  NODE_FAILED: entry(
    110,
    'not-done',
    false,
    'A node process ended by itself.',
    'Read the end of nodes/ID/node.log in the data folder.'
  ),
  SLOT_UNKNOWN: entry(
    145,
    'not-done',
    false,
    'The cluster has no such slot.',
    'Slots count from 0; `ringset table` tells how many there are.'
  ),
  SLOT_MOVING: entry(
    146,
    'not-done',
    true,
    'The slot is on its way to another set.',
    'Wait for that move to end, or abort it with `ringset slot abort`.'
  ),
  SLOT_PINNED: entry(
    149,
    'not-done',
    false,
    'The slot is pinned to another set.',
    '`ringset pin list` shows by whom; `ringset pin remove` lets it go.'
  ),
  TENANT_UNKNOWN: entry(
    160,
    'not-done',
    false,
    'The cluster has no such tenant.',
    'Tenants, and their prefixes, are declared in `cluster.tenants` before the first start and not later; `ringset pin list` shows them.'
  ),
  SET_UNKNOWN: entry(
    111,
    'not-done',
    false,
    'The cluster has no set of that name.',
    '`ringset status` lists the sets.'
  ),
  SET_USED: entry(
    155,
    'not-done',
    false,
    'The cluster has, or once had, another set of that name.',
    'Take another name: one that was used is never used again.'
  ),
  SET_NOT_EMPTY: entry(
    156,
    'not-done',
    true,
    'Something is left in the set: slots, moves, messages for other sets, or what slots left behind.',
    '`ringset set remove` waits until nothing is; `ringset status` shows what there is.'
  ),
  LAST_SET: entry(
    157,
    'not-done',
    false,
    'No other set of the cluster takes slots.',
    'Add a set first, or take another one back with `ringset set add`.'
  ),
  SET_PINNED: entry(
    158,
    'not-done',
    false,
    'Users are pinned to the set.',
    'Remove the pins first; `ringset pin list` shows them.'
  ),
  SET_DRAINING: entry(
    159,
    'not-done',
    false,
    'The set is being removed and takes nothing in.',
    'Choose another set, or take this one back with `ringset set add`.'
  ),
  SET_LOST: entry(
    161,
    'not-done',
    false,
    'The set is given up: it takes nothing in, and is read from one replica until its last slot has left.',
    'Choose another set; `ringset set recover` with the same replica, or none, goes on.'
  ),
  SET_ALIVE: entry(
    162,
    'not-done',
    false,
    'The set has a leader, or can have one: nothing has to be given up.',
    'With a leader, `ringset set remove` gives its slots away without a loss; without one, wait for it.'
  ),
  NO_SURVIVOR: entry(
    163,
    'not-done',
    true,
    'No replica of the set that holds anything answers.',
    'Start the node of one that has its data folder; docs/operations.md says what to do when all are gone.'
  ),
  SURVIVOR_BEHIND: entry(
    164,
    'not-done',
    false,
    'Another replica that answers has more than the one named, so more would be lost than has to be.',
    'Leave `--from` away. If that other one is not to be read, stop its node first.'
  ),
  LOSS_NOT_ACCEPTED: entry(
    165,
    'not-done',
    false,
    'Messages that were acknowledged may be lost by this, so it is not done unasked.',
    'Read what the command has printed, switch off the machines that it names, then repeat it with `--accept-loss`.'
  ),
  HISTORY_INVALID: entry(
    120,
    'not-done',
    false,
    'A line of the history breaks the format.',
    'Compare the line with docs/history-format.md; a run that was cut off may end in half a line.'
  ),
  FAULT_CONTROL_OFF: entry(
    125,
    'not-done',
    false,
    'The node does not let itself be disturbed: `cluster.faultControl` is off.',
    'A drill on a cluster of its own needs no preparation; see docs/chaos.md for one that runs already.'
  ),
  DRILL_UNABLE: entry(
    126,
    'not-done',
    false,
    'The drill cannot do what the scenario asks for on this cluster or this machine.',
    'The message names what; take another scenario, or leave the option away.'
  ),
  REPLICA_UNKNOWN: entry(
    130,
    'not-done',
    false,
    'The group has no replica of that number.',
    '`ringset status` lists the replicas of each set.'
  ),
  REPLICA_USED: entry(
    131,
    'not-done',
    false,
    'The number of the replica is not above all that its group has ever had.',
    'Give the new replica a higher number in the configuration and start its node again.'
  ),
  NOT_JOINING: entry(
    132,
    'not-done',
    false,
    'The node runs no replica of the set that waits to be added.',
    'Give the node a router role of the set with a new number and `join: true`, and start it.'
  ),
  NOT_VOTER: entry(
    133,
    'not-done',
    false,
    'The replica has no vote in its group.',
    'Promote it first (`ringset router promote SET REPLICA`), or name a voter.'
  ),
  REPLICA_DOWN: entry(
    134,
    'not-done',
    true,
    'The replica was not heard of late.',
    'Start its node, wait until `ringset status` shows it as ok, and repeat.'
  ),
  REPLICA_QUARANTINED: entry(
    135,
    'not-done',
    true,
    'The replica distrusts its disk and counts for nothing until it has caught up.',
    'Wait until `ringset status` shows it as ok, and repeat.'
  ),
  REPLICA_BEHIND: entry(
    136,
    'not-done',
    true,
    'The replica lacks too much of the log.',
    'Wait until `ringset status` shows it as ok, and repeat.'
  ),
  REPLICA_LEADS: entry(
    137,
    'not-done',
    true,
    'The replica leads its group.',
    'Hand leadership over first (`ringset router transfer SET`).'
  ),
  CHANGE_PENDING: entry(
    138,
    'not-done',
    true,
    'Another change of the members or the leader of the group is under way.',
    'Wait a moment and repeat; a change needs a majority to end.'
  ),
  QUORUM_AT_RISK: entry(
    139,
    'not-done',
    true,
    'The change would leave the group without a majority that is alive.',
    'Bring the other replicas back first, or add and promote a new one.'
  ),
  LAST_VOTER: entry(
    140,
    'not-done',
    false,
    'The replica is the only voter of its group.',
    'Add and promote another replica first.'
  ),
  ZONE_DECIDES: entry(
    142,
    'not-done',
    true,
    'The change would put so many voters of a group into one zone that the rest is no majority.',
    'Choose a node in another zone, or say `--force`.'
  ),
  HAND_OVER_FAILED: entry(
    141,
    'unknown',
    true,
    'Leadership was not handed over in time.',
    '`ringset status` shows who leads; repeat, or name another replica.'
  ),
  TRANSFER_UNKNOWN: entry(
    150,
    'not-done',
    false,
    'The cluster has no gateway of that name.',
    '`ringset status` lists the gateways of each set.'
  ),
  LAST_TRANSFER: entry(
    151,
    'not-done',
    true,
    'No other gateway or logic of the set is up.',
    'Start another one, or take its drain back; `--force` drains a gateway all the same.'
  )
} as const satisfies Record<string, ErrorCodeEntry>
