import type { Socket } from 'node:net'
import { type ErrorCode, errorCodeOf, errorCodes } from '../base/error-codes.ts'
import type { RingsetError } from '../base/errors.ts'
import { type Frame, linkIndex } from '../protocol/frame.ts'
import type { LeaderHint, PayloadOf } from '../protocol/kinds.ts'
import { type Packet, packet } from '../protocol/packet.ts'
import type { TableView } from '../table/table-view.ts'
import { helloMac, logicClientSecret, macsEqual, makeNonce, welcomeMac } from './handshake.ts'
import { clientPeer, type LinkFaults } from './link-faults.ts'
import { PacketStream, type StreamOwner, type WriteTurn } from './packet-stream.ts'
import type { PeerLimits } from './peer-limits.ts'
import type { AnnouncedEndpoint, PeerProcess, ProcessLink } from './peer-process.ts'

/** `node`: a process of the cluster · `logic-client`: a guest that only asks routers. */
export type LinkPurpose = 'node' | 'logic-client'

/** What a link needs of the network it belongs to. */
export interface LinkHost {
  readonly nodeId: string
  readonly bootId: number
  readonly secret: Buffer
  readonly purpose: LinkPurpose
  readonly limits: PeerLimits
  readonly faults: LinkFaults | undefined
  nowMs(): number
  view(): TableView
  announced(): AnnouncedEndpoint[]
  hints(): LeaderHint[]
  onLinkOpen(
    link: PeerLink,
    endpoints: readonly AnnouncedEndpoint[],
    hints: readonly LeaderHint[]
  ): void
  onLinkFrame(link: PeerLink, frame: Frame): void
  onLinkRefused(link: PeerLink, error: RingsetError): void
  /** Called once, whatever state the link was in. */
  onLinkClosed(link: PeerLink): void
}

/** HELLO of 255 endpoints of 128 bytes fits; WELCOME may also carry 1,000 hints. */
const helloLimitBytes = 48 * 1024
const welcomeLimitBytes = 256 * 1024
/** How long a link that failed may take to hand its ERROR over. */
const closingMs = 1_000

/** One TCP connection to another process: the handshake, then frames. */
export class PeerLink implements StreamOwner, ProcessLink {
  readonly dialed: boolean
  readonly stream: PacketStream
  /** Set by the network once the handshake is through. */
  process: PeerProcess | undefined
  announced = 0
  /** Of the other process; valid once open. */
  nodeId = ''
  bootId = 0
  purpose: LinkPurpose = 'node'
  /** Of the other's table, as the handshake showed it. */
  shownEpoch = 0
  openedAtMs = 0
  /** Why the link was given up by this side or by an ERROR of the other. */
  failure: ErrorCode | undefined
  readonly #host: LinkHost
  #state: 'greeting' | 'proving' | 'open' | 'closing' = 'greeting'
  #sinceMs: number
  #nonce = makeNonce()
  #peerNonce: Buffer | undefined
  #bytesRead = 0
  #heardAtMs: number
  #bytesWritten = 0
  #sentAtMs: number
  #suspectedAtMs = 0

  /** @param dialedAddress undefined when the other end has made it. */
  constructor(host: LinkHost, socket: Socket, turn: WriteTurn, dialedAddress: string | undefined) {
    const dialed = dialedAddress !== undefined
    this.#host = host
    this.dialed = dialed
    this.#sinceMs = host.nowMs()
    this.#heardAtMs = this.#sinceMs
    this.#sentAtMs = this.#sinceMs
    const limitBytes = dialed ? welcomeLimitBytes : helloLimitBytes
    this.stream = new PacketStream(socket, this, turn, limitBytes)
    host.faults?.watch(this.stream, dialedAddress)
    if (!dialed) this.sendBare(packet('CHALLENGE', { nonce: this.#nonce }))
  }

  get open(): boolean {
    return this.#state === 'open'
  }

  /** Whether the other end may speak for the cluster: nodes, and whatever this side dialed. */
  get trusted(): boolean {
    return this.dialed || this.purpose === 'node'
  }

  /** Sends on behalf of the link itself, never with a table. */
  sendBare(bare: Packet): void {
    const { frameBytes } = this.#host.limits
    this.stream.send(bare, linkIndex, linkIndex, this.#host.view(), undefined, frameBytes)
  }

  /** Tells the other end why, then closes. */
  fail(code: ErrorCode, text = ''): void {
    if (this.#state === 'closing') return
    this.failure = code
    this.sendBare(
      packet('ERROR', { code: errorCodes[code].number, text, retryAfterMs: 0, hint: undefined })
    )
    this.finish()
  }

  /** Flushes what is queued and closes. */
  finish(): void {
    if (this.#state === 'closing') return
    this.#state = 'closing'
    this.#sinceMs = this.#host.nowMs()
    this.stream.finish()
  }

  destroy(): void {
    this.#state = 'closing'
    this.stream.destroy()
  }

  /** Another link to the same process came up: this one must prove within half a second that it still works. */
  suspect(): void {
    this.#suspectedAtMs = this.#host.nowMs()
    // Only what comes from now on is a sign of life.
    this.#bytesRead = this.stream.bytesRead
    this.sendBare(packet('LINK_PING', {}))
  }

  /** Timeouts and pings; `graceMs`: how much this process itself was late. */
  sweep(nowMs: number, graceMs: number): void {
    const { limits } = this.#host
    const socket = this.stream.socket
    this.#sinceMs += graceMs
    this.#heardAtMs += graceMs
    const { bytesRead } = this.stream
    if (bytesRead !== this.#bytesRead) {
      this.#bytesRead = bytesRead
      this.#heardAtMs = nowMs
      this.#suspectedAtMs = 0
    }
    if (this.#state === 'closing') {
      if (nowMs - this.#sinceMs > closingMs) this.destroy()
    } else if (this.#state !== 'open') {
      if (nowMs - this.#sinceMs > limits.handshakeTimeoutMs) this.fail('HANDSHAKE_TIMEOUT')
    } else if (this.#isSilent(nowMs, limits)) {
      this.destroy()
    } else {
      this.#ping(nowMs, socket, limits)
    }
  }

  #isSilent(nowMs: number, limits: PeerLimits): boolean {
    if (nowMs - this.#heardAtMs > limits.linkTimeoutMs) return true
    return this.#suspectedAtMs > 0 && nowMs - this.#suspectedAtMs > limits.suspectMs
  }

  #ping(nowMs: number, socket: Socket, limits: PeerLimits): void {
    if (socket.bytesWritten !== this.#bytesWritten) {
      this.#bytesWritten = socket.bytesWritten
      this.#sentAtMs = nowMs
    } else if (nowMs - this.#sentAtMs >= limits.pingMs) {
      this.#sentAtMs = nowMs
      this.process?.sendOwn(packet('LINK_PING', {}), this)
    }
  }

  onFrame(frame: Frame): void {
    if (this.#state === 'open') {
      this.#host.onLinkFrame(this, frame)
      return
    }
    const { packet: received } = frame
    this.shownEpoch = received.epoch
    if (received.kind === 'ERROR') {
      this.failure = errorCodeOf(received.payload.code)
      this.destroy()
    } else if (this.#otherCluster(received.clusterTag)) {
      this.fail('WRONG_CLUSTER')
    } else if (received.kind === 'CHALLENGE' && this.dialed && this.#state === 'greeting') {
      this.#onChallenge(received.payload.nonce)
    } else if (received.kind === 'HELLO' && !this.dialed) {
      this.#onHello(received.payload)
    } else if (received.kind === 'WELCOME' && this.dialed && this.#state === 'proving') {
      this.#onWelcome(received.payload)
    } else {
      this.fail('UNEXPECTED_PACKET')
    }
  }

  #otherCluster(clusterTag: number): boolean {
    const own = this.#host.view().clusterTag
    return own !== 0 && clusterTag !== 0 && own !== clusterTag
  }

  #onChallenge(nonce: Buffer): void {
    const { nodeId, bootId, purpose, secret } = this.#host
    this.#peerNonce = Buffer.from(nonce)
    const endpoints = this.#host.announced()
    const hello = { nodeId, bootId, purpose, endpoints, nonce: this.#nonce, mac: nonce }
    hello.mac = helloMac(secret, nonce, hello)
    this.#state = 'proving'
    this.announced = endpoints.length
    this.sendBare(packet('HELLO', hello))
  }

  #onHello(hello: PayloadOf<'HELLO'>): void {
    const host = this.#host
    const secret = this.#secretOf(hello)
    if (secret === undefined) {
      this.fail('UNAUTHENTICATED')
      return
    }
    if (hello.bootId === host.bootId) {
      this.fail('ALREADY_RUNNING', 'a process dialed itself')
      return
    }
    host.faults?.named(this.stream, hello.purpose === 'node' ? hello.nodeId : clientPeer)
    const endpoints = host.announced()
    const { nodeId, bootId } = host
    const welcome = { nodeId, bootId, endpoints, mac: hello.mac, hints: host.hints() }
    welcome.mac = welcomeMac(secret, this.#nonce, hello.nonce, welcome)
    this.announced = endpoints.length
    this.sendBare(packet('WELCOME', welcome))
    this.purpose = hello.purpose
    this.#opened(hello.nodeId, hello.bootId, hello.endpoints, [])
  }

  /** The secret that HELLO proves, if any. */
  #secretOf(hello: PayloadOf<'HELLO'>): Buffer | undefined {
    const { secret } = this.#host
    if (macsEqual(hello.mac, helloMac(secret, this.#nonce, hello))) return secret
    if (hello.purpose !== 'logic-client') return undefined
    const derived = logicClientSecret(secret)
    return macsEqual(hello.mac, helloMac(derived, this.#nonce, hello)) ? derived : undefined
  }

  #onWelcome(welcome: PayloadOf<'WELCOME'>): void {
    const mac = welcomeMac(this.#host.secret, this.#peerNonce!, this.#nonce, welcome)
    if (!macsEqual(welcome.mac, mac)) {
      this.fail('UNAUTHENTICATED')
      return
    }
    this.#host.faults?.named(this.stream, welcome.nodeId)
    this.#opened(welcome.nodeId, welcome.bootId, welcome.endpoints, welcome.hints)
  }

  #opened(
    nodeId: string,
    bootId: number,
    endpoints: readonly AnnouncedEndpoint[],
    hints: readonly LeaderHint[]
  ): void {
    this.nodeId = nodeId
    this.bootId = bootId
    this.#state = 'open'
    this.openedAtMs = this.#host.nowMs()
    this.stream.limitBytes = this.#host.limits.frameBytes
    this.#host.onLinkOpen(this, endpoints, hints)
  }

  onRefused(error: RingsetError): void {
    if (this.#state === 'open') this.#host.onLinkRefused(this, error)
    else this.fail(error.code)
  }

  onGarbage(error: RingsetError): void {
    this.fail(error.code, error.message)
  }

  onClosed(): void {
    this.#state = 'closing'
    this.#host.faults?.forget(this.stream)
    this.#host.onLinkClosed(this)
  }
}
