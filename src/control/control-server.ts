import {
  type handleUnaryCall,
  type Metadata,
  Server,
  ServerCredentials,
  type StatusObject
} from '@grpc/grpc-js'
import { RingsetError } from '../base/errors.ts'
import { hostPort } from '../base/host-port.ts'
import type { Log } from '../base/ports.ts'
import { type NodeControlServer, NodeControlService } from '../gen/ringset/control/v1/control.ts'
import { type ControlSource, memberChanges, setChanges } from './control-source.ts'
import { sameCredential } from './credential.ts'
import { toGrpcError } from './grpc-errors.ts'
import { SightStreams } from './sight-streams.ts'

export interface ControlServerOptions {
  readonly host: string
  /** 0 takes a free one; see `ControlServer.port`. */
  readonly port: number
  readonly credential: string
  readonly source: ControlSource
  readonly log: Log
}

export interface ControlServer {
  readonly port: number
  /** Lets calls under way finish for a moment, then cuts them. */
  close(): Promise<void>
}

const maxRequestBytes = 64 * 1024
const maxConcurrentCalls = 100
const maxTokenSeconds = 31_536_000
const maxDrainMs = 86_400_000
const maxWaitMs = 10_000
/** In one call. */
const maxSlots = 1_024
const closeGraceMs = 1000

/** Starts the control interface of one node. Throws ALREADY_RUNNING when the port is taken. */
export async function startControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const server = new Server({
    'grpc.max_receive_message_length': maxRequestBytes,
    'grpc.max_concurrent_streams': maxConcurrentCalls,
    'grpc.max_connection_idle_ms': 600_000
  })
  const streams = new SightStreams(options.source)
  server.addService(NodeControlService, handlers(options, streams))
  const port = await bind(server, options.host, options.port)
  return {
    port,
    close: () => {
      streams.close()
      return close(server)
    }
  }
}

/** Lets in who has the credential, and says why somebody or something is refused. */
function gateOf({ credential, log }: ControlServerOptions) {
  const admit = (metadata: Metadata): void => {
    const given = metadata.get('authorization')[0]
    if (typeof given !== 'string' || !sameCredential(given, credential)) {
      throw new RingsetError('UNAUTHENTICATED')
    }
  }
  const refusal = (name: string, error: unknown): Partial<StatusObject> => {
    const expected = error instanceof RingsetError && error.code !== 'INTERNAL'
    if (expected) log.debug('control_refused', { call: name, code: error.code })
    else log.error('control_failed', { call: name, error })
    return toGrpcError(error)
  }
  return { admit, refusal }
}

function handlers(options: ControlServerOptions, streams: SightStreams): NodeControlServer {
  const { source } = options
  const { admit, refusal } = gateOf(options)
  const unary = <Request, Response>(
    name: string,
    answer: (request: Request) => Promise<Response>
  ): handleUnaryCall<Request, Response> => {
    return async (call, callback) => {
      try {
        admit(call.metadata)
        callback(null, await answer(call.request))
      } catch (error) {
        callback(refusal(name, error))
      }
    }
  }
  return {
    status: unary('Status', () => source.status()),
    watch: call => {
      try {
        admit(call.metadata)
        streams.open(call)
      } catch (error) {
        call.emit('error', refusal('Watch', error))
      }
    },
    table: unary('Table', async ({ epoch, newerThan, waitMs }) => {
      if (waitMs > maxWaitMs) {
        throw new RingsetError('USAGE', `a table is waited for at most ${maxWaitMs} ms`)
      }
      if (newerThan !== undefined) await source.newerTable(newerThan, waitMs)
      return source.table(epoch)
    }),
    route: unary('Route', ({ uid }) => source.route(uid)),
    issueToken: unary('IssueToken', ({ uid, ttlSeconds }) => {
      if (ttlSeconds < 1 || ttlSeconds > maxTokenSeconds) {
        throw new RingsetError('USAGE', `a token lasts 1 to ${maxTokenSeconds} seconds`)
      }
      return source.issueToken(uid, ttlSeconds)
    }),
    stop: unary('Stop', async ({ graceful }) => {
      await source.stop(graceful)
      return {}
    }),
    transferLeadership: unary('TransferLeadership', ({ set, to }) =>
      source.transferLeadership(set, to)
    ),
    changeReplica: unary('ChangeReplica', ({ set, replica, change }) => {
      const known = memberChanges.find(name => name === change)
      if (known === undefined) {
        throw new RingsetError('USAGE', `a change is ${memberChanges.join(', ')}`)
      }
      mustBeReplica(replica)
      return source.changeReplica(set, replica, known)
    }),
    placeReplica: unary('PlaceReplica', async place => {
      mustBeReplica(place.replica)
      await source.placeReplica(place)
      return {}
    }),
    drainTransfer: unary('DrainTransfer', async order => {
      if ((order.overMs ?? 0) > maxDrainMs) {
        throw new RingsetError('USAGE', `a drain takes at most ${maxDrainMs} ms`)
      }
      return { changed: await source.drainTransfer(order) }
    }),
    undrainTransfer: unary('UndrainTransfer', ({ transfer }) => source.undrainTransfer(transfer)),
    moveSlots: unary('MoveSlots', async order => {
      mustBeSlots(order.slots, 1)
      return { epoch: await source.moveSlots(order) }
    }),
    changeSet: unary('ChangeSet', async order => {
      if (!setChanges.some(name => name === order.change)) {
        throw new RingsetError('USAGE', `a change is ${setChanges.join(', ')}`)
      }
      for (const { replica } of order.routers) mustBeReplica(replica)
      return { epoch: await source.changeSet(order) }
    }),
    abortMoves: unary('AbortMoves', async ({ slots }) => {
      mustBeSlots(slots, 0)
      return { epoch: await source.abortMoves(slots) }
    }),
    addPin: unary('AddPin', order => source.addPin(order)),
    removePin: unary('RemovePin', order => source.removePin(order)),
    setGrey: unary('SetGrey', order => source.setGrey(order)),
    undoGrey: unary('UndoGrey', ({ version }) => source.undoGrey(version)),
    setFaults: unary('SetFaults', async order => {
      await source.setFaults(order)
      return {}
    })
  }
}

function mustBeReplica(replica: number): void {
  if (replica < 1 || replica > 255) throw new RingsetError('USAGE', 'replicas are 1 to 255')
}

function mustBeSlots(slots: readonly number[], least: number): void {
  if (slots.length < least || slots.length > maxSlots) {
    throw new RingsetError('USAGE', `a call is about ${least} to ${maxSlots} slots`)
  }
}

function bind(server: Server, host: string, port: number): Promise<number> {
  const address = hostPort(host, port)
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound)
      else {
        const text = `the control interface cannot listen on ${address}`
        reject(new RingsetError('ALREADY_RUNNING', text, { address }, error))
      }
    })
  })
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(() => server.forceShutdown(), closeGraceMs)
    server.tryShutdown(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
