/**
 * The embedded routing table as data. Immutable: a change is a new table with a higher epoch, made only where an arbiter entry is
 * applied (E-1).
 */
export interface RoutingTable {
  /** 12 lowercase hex digits (48 bits), made when the cluster is created. A changed id is the only legal way back in epochs. */
  readonly clusterId: string
  /** 1, 2, 3 …; never goes back (I-6). */
  readonly epoch: number
  /** Power of two, fixed for the life of the cluster. */
  readonly slotCount: number
  /** Ascending, gap-free, covering 0 … slotCount − 1. */
  readonly runs: readonly SlotRun[]
  /** Sorted by match and value. */
  readonly pins: readonly Pin[]
  /** Sorted by prefix, fixed for the life of the cluster. */
  readonly tenants: readonly Tenant[]
  /** Slots on their way to another set, ascending. Their owner is still the one that `runs` name. */
  readonly moves: readonly SlotMove[]
  /** Whose requests go to logics of which version; sorted by version, which is unique. */
  readonly grey: readonly GreyRule[]
  /** Sorted by id. */
  readonly sets: readonly SetEntry[]
  readonly arbiters: readonly ReplicaEntry[]
}

/** `count` slots from `first` on that have one owner since one epoch. */
export interface SlotRun {
  readonly first: number
  readonly count: number
  readonly setId: string
  /** Table epoch at which these slots' owner last changed. */
  readonly slotEpoch: number
}

/** A slot that is being handed over. Slot and epoch together name the move: no other ever has both. */
export interface SlotMove {
  readonly slot: number
  /** The set that gets it. */
  readonly to: string
  /** Table epoch at which the move began. */
  readonly epoch: number
}

/** Keys that begin alike and have slots of their own. The slots of all tenants lie side by side at the end, in the table's order. */
export interface Tenant extends SlotRange {
  readonly id: string
}

/** The slots from `first` on that belong to all keys which begin with `prefix`, and to no others. No prefix begins with another. */
export interface SlotRange {
  readonly prefix: string
  readonly first: number
  readonly count: number
}

/**
 * Holds the slot of a uid, or all slots of a tenant, in a set, whatever the ring says. A prefix is of the format only: without slots of
 * its own it has members in all of them.
 */
export interface Pin {
  readonly match: 'uid' | 'prefix' | 'tenant'
  readonly value: string
  readonly setId: string
}

/** Requests of some users go to logics of one version, those of all others do not. */
export interface GreyRule {
  /** As logics announce it, compared letter by letter. */
  readonly version: string
  /** 0 to 100 in whole hundredths: the share of all users, chosen by a hash of the uid that is not that of the slots. */
  readonly percent: number
  /** Users by name, ascending. */
  readonly uids: readonly string[]
  /** Users by the beginning of their name, ascending. */
  readonly prefixes: readonly string[]
}

export interface SetEntry {
  readonly id: string
  readonly zone: string
  /**
   * `draining` gives its slots away and takes none in. `lost` has no majority any more, and never will: `routers` is the one replica
   * that its slots are read from until the last of them has left.
   */
  readonly state: 'active' | 'draining' | 'lost'
  /** Share of slots relative to the other sets: 0.01 to 100 in hundredths, 1 is an ordinary set. */
  readonly weight: number
  /** Each list sorted by id. */
  readonly transfers: readonly TransferEntry[]
  readonly logics: readonly ProcessEntry[]
  readonly routers: readonly RouterEntry[]
}

export interface ProcessEntry {
  readonly id: string
  readonly nodeId: string
  /** 0 while it has never announced itself. */
  readonly bootId: number
  /** `host:port` of the node's peer listener; empty while unknown. */
  readonly address: string
  readonly state: 'up' | 'down' | 'draining'
  readonly version: string
  readonly weight: number
}

export interface TransferEntry extends ProcessEntry {
  /** `tcp://host:port` of each client listener. */
  readonly clientAddresses: readonly string[]
}

export interface ReplicaEntry {
  /** 1–255, unique in its group, never re-used. */
  readonly replicaId: number
  readonly nodeId: string
  readonly address: string
}

export interface RouterEntry extends ReplicaEntry {
  readonly role: 'voter' | 'learner'
  readonly bootId: number
  readonly state: 'up' | 'down'
}
