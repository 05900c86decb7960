import { connectivityState, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import { RingsetError } from '../base/errors.ts'
import { NodeControlClient } from '../gen/ringset/control/v1/control.ts'
import type { RoutingTable } from '../table/table.ts'
import type {
  ChangedMembers,
  DrainOrder,
  FaultOrder,
  GreyOrder,
  HandedOver,
  IssuedToken,
  MemberChange,
  MoveOrder,
  NodeSight,
  NodeStatus,
  Ordered,
  PinOrder,
  Place,
  RouteAnswer,
  SetOrder,
  Undrained,
  UnpinOrder
} from './control-source.ts'
import { fromGrpcError } from './grpc-errors.ts'

export interface ControlClientOptions {
  /** `host:port` of a node's control interface. */
  readonly address: string
  readonly credential: string
  /** Bound of each call, connecting included. */
  readonly timeoutMs?: number
}

type Answered<T> = (error: ServiceError | null, answer: T) => void
type Call<Request, Answer> = (
  request: Request,
  metadata: Metadata,
  options: { deadline: number },
  callback: Answered<Answer>
) => unknown

/** A change of a group is answered when it is through, or given up by the node. */
const changeTimeoutMs = 8_000
const maxAnswerBytes = 16 * 1024 * 1024

/**
 * Talks to one node. Calls throw UNREACHABLE when no connection could be made (nothing happened), TIMEOUT or CANCELLED when no answer came (it may
 * have happened), UNAUTHENTICATED for a wrong credential, else what the node refused with.
 */
export class ControlClient {
  readonly address: string
  readonly #timeoutMs: number
  readonly #metadata = new Metadata()
  readonly #client: NodeControlClient

  constructor({ address, credential, timeoutMs = 5000 }: ControlClientOptions) {
    this.address = address
    this.#timeoutMs = timeoutMs
    this.#metadata.set('authorization', credential)
    this.#client = new NodeControlClient(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': maxAnswerBytes,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 500,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0
    })
  }

  status(): Promise<NodeStatus> {
    return this.#call(this.#client.status, {})
  }

  /**
   * Shows the node at once and then every so many milliseconds, until the node ends it or `signal` aborts; rejects when the connection
   * breaks (CANCELLED) or the node refuses (USAGE, OVERLOADED).
   */
  async watch(
    everyMs: number,
    signal: AbortSignal,
    onSight: (sight: NodeSight) => void
  ): Promise<void> {
    await this.#connected(Date.now() + this.#timeoutMs)
    if (signal.aborted) return
    const call = this.#client.watch({ everyMs }, this.#metadata)
    const cancel = (): void => call.cancel()
    signal.addEventListener('abort', cancel)
    try {
      await new Promise<void>((resolve, reject) => {
        call.on('data', onSight)
        call.once('end', resolve)
        call.on('error', (error: ServiceError) => {
          if (signal.aborted) resolve()
          else reject(fromGrpcError(error, this.address))
        })
      })
    } finally {
      signal.removeEventListener('abort', cancel)
    }
  }

  /** The routing table of the node; NO_TABLE while it has none. */
  async table(epoch?: number): Promise<RoutingTable> {
    return tableOf(await this.#call(this.#client.table, { epoch, waitMs: 0 }))
  }

  /** As soon as it is newer than that epoch, or the newest there is after `waitMs`; a node of before answers at once. */
  async tableAfter(epoch: number, waitMs: number): Promise<RoutingTable> {
    return tableOf(await this.#call(this.#client.table, { newerThan: epoch, waitMs }))
  }

  route(uid: string): Promise<RouteAnswer> {
    return this.#call(this.#client.route, { uid })
  }

  issueToken(uid: string, ttlSeconds: number): Promise<IssuedToken> {
    return this.#call(this.#client.issueToken, { uid, ttlSeconds })
  }

  async stop(graceful = true): Promise<void> {
    await this.#call(this.#client.stop, { graceful })
  }

  /** @param set empty for the arbiter group. */
  transferLeadership(set: string, to?: number): Promise<HandedOver> {
    return this.#call(this.#client.transferLeadership, { set, to }, changeTimeoutMs)
  }

  changeReplica(set: string, replica: number, change: MemberChange): Promise<ChangedMembers> {
    return this.#call(this.#client.changeReplica, { set, replica, change }, changeTimeoutMs)
  }

  async placeReplica(place: Place): Promise<void> {
    await this.#call(this.#client.placeReplica, place, changeTimeoutMs)
  }

  /** Begins a drain; false when the gateway drained already. */
  async drainTransfer(order: DrainOrder): Promise<boolean> {
    return (await this.#call(this.#client.drainTransfer, order)).changed
  }

  undrainTransfer(transfer: string): Promise<Undrained> {
    return this.#call(this.#client.undrainTransfer, { transfer })
  }

  /** Returns the epoch of a table that knows of all of them. */
  async moveSlots(order: MoveOrder): Promise<number> {
    return (await this.#call(this.#client.moveSlots, order, changeTimeoutMs)).epoch
  }

  /** @param slots empty for all. Returns the epoch of a table that lists none of them. */
  async abortMoves(slots: readonly number[]): Promise<number> {
    const request = { slots: [...slots] }
    return (await this.#call(this.#client.abortMoves, request, changeTimeoutMs)).epoch
  }

  addPin(order: PinOrder): Promise<Ordered> {
    return this.#call(this.#client.addPin, order, changeTimeoutMs)
  }

  removePin(order: UnpinOrder): Promise<Ordered> {
    return this.#call(this.#client.removePin, order, changeTimeoutMs)
  }

  setGrey(order: GreyOrder): Promise<Ordered> {
    return this.#call(this.#client.setGrey, order, changeTimeoutMs)
  }

  /** @param version empty for every rule. */
  undoGrey(version: string): Promise<Ordered> {
    return this.#call(this.#client.undoGrey, { version }, changeTimeoutMs)
  }

  /** Returns the epoch of a table that is so. */
  async changeSet(order: SetOrder): Promise<number> {
    return (await this.#call(this.#client.changeSet, order, changeTimeoutMs)).epoch
  }

  /** Takes the place of what was set before; FAULT_CONTROL_OFF. */
  async setFaults(order: FaultOrder): Promise<void> {
    await this.#call(this.#client.setFaults, order)
  }

  close(): void {
    this.#client.close()
  }

  async #call<Request, Answer>(
    call: Call<Request, Answer>,
    request: Request,
    leastTimeoutMs = 0
  ): Promise<Answer> {
    const deadline = Date.now() + Math.max(this.#timeoutMs, leastTimeoutMs)
    await this.#connected(deadline)
    return new Promise((resolve, reject) => {
      call.call(this.#client, request, this.#metadata, { deadline }, (error, answer) => {
        if (error === null) resolve(answer)
        else reject(fromGrpcError(error, this.address))
      })
    })
  }

  /** Waits for a connection before a call leaves, so that UNREACHABLE means that nothing was sent. */
  async #connected(deadline: number): Promise<void> {
    const channel = this.#client.getChannel()
    for (;;) {
      const state = channel.getConnectivityState(true)
      if (state === connectivityState.READY) return
      const failed = state === connectivityState.TRANSIENT_FAILURE
      if (failed || state === connectivityState.SHUTDOWN) throw this.#unreachable()
      await new Promise<void>((resolve, reject) => {
        channel.watchConnectivityState(state, deadline, error => {
          if (error === undefined) resolve()
          else reject(this.#unreachable())
        })
      })
    }
  }

  #unreachable(): RingsetError {
    const text = `no node answers at ${this.address}`
    return new RingsetError('UNREACHABLE', text, { peer: this.address })
  }
}

function tableOf({ json }: { readonly json: string }): RoutingTable {
  // Nodes of before do not name what they know nothing of.
  return { tenants: [], ...(JSON.parse(json) as object) } as unknown as RoutingTable
}
