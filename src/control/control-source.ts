import type {
  ChangeReplicaResponse,
  IssueTokenResponse,
  PlaceReplicaRequest,
  RouteResponse,
  StatusResponse,
  TransferLeadershipResponse
} from '../gen/ringset/control/v1/control.ts'

export type NodeStatus = StatusResponse
export type RouteAnswer = RouteResponse
export type IssuedToken = IssueTokenResponse
export type HandedOver = TransferLeadershipResponse
export type ChangedMembers = ChangeReplicaResponse
/** Of a router replica in the routing table. */
export type Place = PlaceReplicaRequest

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
  /** The table as JSON. @param epoch a former one, if given; UNSUPPORTED when it is not kept, NO_TABLE while none is known. */
  table(epoch: number | undefined): Promise<{ readonly epoch: number; readonly json: string }>
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
}
