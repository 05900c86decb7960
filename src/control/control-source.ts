import type {
  AddPinRequest,
  AddPinResponse,
  ChangeReplicaResponse,
  ChangeSetRequest,
  DrainTransferRequest,
  IssueTokenResponse,
  MoveSlotsRequest,
  PlaceReplicaRequest,
  RemovePinRequest,
  RouteResponse,
  SetFaultsRequest,
  SetGreyRequest,
  StatusResponse,
  TransferLeadershipResponse,
  UndrainTransferResponse,
  WatchResponse
} from '../gen/ringset/control/v1/control.ts'

export type NodeStatus = StatusResponse
/** A node at one moment, as `ControlClient.watch` shows it. */
export type NodeSight = WatchResponse
export type RouteAnswer = RouteResponse
export type IssuedToken = IssueTokenResponse
export type HandedOver = TransferLeadershipResponse
export type ChangedMembers = ChangeReplicaResponse
/** Of a router replica in the routing table. */
export type Place = PlaceReplicaRequest

export type FaultOrder = SetFaultsRequest
export type DrainOrder = DrainTransferRequest
export type Undrained = UndrainTransferResponse
export type MoveOrder = MoveSlotsRequest
export type SetOrder = ChangeSetRequest
export type PinOrder = AddPinRequest
export type UnpinOrder = RemovePinRequest
export type GreyOrder = SetGreyRequest
/** `epoch` of a table that has the change; `changed` false when it was so before. */
export type Ordered = AddPinResponse

export const setChanges = ['add', 'drain', 'lose', 'remove'] as const

export const memberChanges = ['add', 'promote', 'remove'] as const
export type MemberChange = (typeof memberChanges)[number]

/** Numbers of the replicas of a group. */
export interface Members {
  readonly voters: number[]
  readonly learners: number[]
}

/**
 * What a node offers to the control interface; the host implements it. A refusal is a thrown RingsetError, which the caller gets with
 * its code; anything else thrown arrives as INTERNAL. Every promise settles within a bound.
 */
export interface ControlSource {
  status(): Promise<NodeStatus>
  /** What may change at any moment; cheap. */
  sight(): NodeSight
  /** The table as JSON. @param epoch a former one, if given; UNSUPPORTED when it is not kept, NO_TABLE while none is known. */
  table(epoch: number | undefined): Promise<{ readonly epoch: number; readonly json: string }>
  /** Resolves once the node has a table newer than that epoch, after `waitMs` at the latest. OVERLOADED when too many wait. */
  newerTable(epoch: number, waitMs: number): Promise<void>
  route(uid: string): Promise<RouteAnswer>
  issueToken(uid: string, ttlSeconds: number): Promise<IssuedToken>
  /** Begins to stop and resolves at once; the process ends later. */
  stop(graceful: boolean): Promise<void>
  /** @param set empty for the arbiter group. @param to undefined lets the leader choose. NOT_LEADER when this node does not lead. */
  transferLeadership(set: string, to: number | undefined): Promise<HandedOver>
  /** NOT_LEADER when this node does not lead the set's router group. */
  changeReplica(set: string, replica: number, change: MemberChange): Promise<ChangedMembers>
  /** NOT_LEADER when this node does not lead the arbiter group. */
  placeReplica(place: Place): Promise<void>
  /** Begins to drain a gateway of this node; false when it drained already. TRANSFER_UNKNOWN, LAST_TRANSFER. */
  drainTransfer(order: DrainOrder): Promise<boolean>
  /** TRANSFER_UNKNOWN. */
  undrainTransfer(transfer: string): Promise<Undrained>
  /** Resolves with the epoch of a table that knows of all of them. NOT_LEADER when this node does not lead the arbiter group; SET_UNKNOWN, SLOT_UNKNOWN, SLOT_MOVING. */
  moveSlots(order: MoveOrder): Promise<number>
  /** @param slots empty for all. Resolves with the epoch of a table that lists none of them. NOT_LEADER as above; SLOT_UNKNOWN. */
  abortMoves(slots: readonly number[]): Promise<number>
  /** Resolves with the epoch of a table that is so. NOT_LEADER as above; SET_UNKNOWN, SET_USED, SET_LOST, SET_NOT_EMPTY, SET_PINNED, LAST_SET, REPLICA_UNKNOWN, OVERLOADED. */
  changeSet(order: SetOrder): Promise<number>
  /** NOT_LEADER when this node does not lead the arbiter group, as the following ones; SET_UNKNOWN, SLOT_PINNED, SLOT_MOVING, BAD_UID, TENANT_UNKNOWN. */
  addPin(order: PinOrder): Promise<Ordered>
  /** BAD_UID, TENANT_UNKNOWN. */
  removePin(order: UnpinOrder): Promise<Ordered>
  /** USAGE for a rule out of bounds, OVERLOADED when there are too many. */
  setGrey(order: GreyOrder): Promise<Ordered>
  /** @param version empty for every rule. */
  undoGrey(version: string): Promise<Ordered>
  /** FAULT_CONTROL_OFF unless the configuration allows it (`cluster.faultControl`); USAGE for an order out of bounds. */
  setFaults(order: FaultOrder): Promise<void>
}
