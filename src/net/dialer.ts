import { connect, type Socket } from 'node:net'
import { ByteWriter } from '../base/bytes.ts'
import type { Random } from '../base/ports.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import { encodeFrame } from '../protocol/frame.ts'
import type { Packet } from '../protocol/packet.ts'
import { parseAddress } from './address.ts'
import type { PeerLink } from './peer-link.ts'
import type { PeerProcess } from './peer-process.ts'

const firstDelayMs = 20
const lastDelayMs = 1_000
/** A link that lived shorter counts as a failed attempt, so that two processes that cannot agree do not spin. */
const provenMs = 1_000

/**
 * `unknown`: never linked · `up` · `lost`: its link closed and redialing has not told yet what became of the process · `down` ·
 * `gone`: the process certainly ended.
 */
export type EndpointState = 'unknown' | 'up' | 'lost' | 'down' | 'gone'

/** What this process knows about one endpoint, its own or another process's. */
export class Endpoint {
  readonly id: EndpointId
  /** −1 when it lives elsewhere. */
  localIndex = -1
  /** Where it was learned to be. */
  dialer: Dialer | undefined
  /** Somebody here wants a link to it. */
  wanted = false
  /** The linked process it lives in. */
  process: PeerProcess | undefined
  /** Its index there. */
  index = 0
  state: EndpointState = 'unknown'
  lostAtMs = 0

  constructor(id: EndpointId) {
    this.id = id
  }
}

/** A packet that waits for a link under way. */
export interface Waiting {
  readonly to: Endpoint
  readonly fromIndex: number
  readonly sent: Packet
}

/** Keeps trying to reach one address, for as long as somebody wants an endpoint there. */
export class Dialer {
  readonly address: string
  /** Endpoints that were learned to be at this address. */
  readonly endpoints = new Set<Endpoint>()
  /** From the attempt on until it is closed. */
  link: PeerLink | undefined
  readonly #random: Random
  readonly #open: (socket: Socket, dialer: Dialer) => PeerLink
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(address: string, random: Random, open: (socket: Socket, dialer: Dialer) => PeerLink) {
    this.address = address
    this.#random = random
    this.#open = open
  }

  /** An endpoint here is wanted and not linked. */
  get wanted(): boolean {
    for (const endpoint of this.endpoints) {
      if (endpoint.wanted && endpoint.process === undefined) return true
    }
    return false
  }

  /** Keeps a packet for the link being made. False when none is, or too much waits already. */
  wait(waiting: Waiting, limitPackets: number, limitBytes: number): boolean {
    if (this.link === undefined || this.link.open || this.#waiting.length >= limitPackets) {
      return false
    }
    const sizeBytes = encodeFrame(new ByteWriter(512), waiting.sent, 0, 0, 0, 0)
    if (this.#waitingBytes + sizeBytes > limitBytes) return false
    this.#waiting.push(waiting)
    this.#waitingBytes += sizeBytes
    return true
  }

  takeWaiting(): Waiting[] {
    const waiting = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    return waiting
  }

  /** Starts an attempt unless there is a link, one under way, or the wait after a failed one is not over. */
  dial(): void {
    if (this.#timer === undefined) this.dialNow()
  }

  /** The same, without minding the wait: there is news about this address. */
  dialNow(): void {
    if (this.link !== undefined || this.#stopped) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    const { host, port } = parseAddress(this.address)
    const socket = connect({ host, port, noDelay: true })
    this.link = this.#open(socket, this)
  }

  /** The link or the attempt ended. */
  closed(nowMs: number): void {
    const link = this.link
    this.link = undefined
    this.takeWaiting()
    const proven = link !== undefined && link.openedAtMs > 0 && nowMs - link.openedAtMs >= provenMs
    this.#failures = proven ? 0 : this.#failures + 1
    if (this.#stopped || !this.wanted) return
    if (this.#failures === 0) this.dialNow()
    else this.#dialLater()
  }

  #dialLater(): void {
    clearTimeout(this.#timer)
    const fullMs = Math.min(lastDelayMs, firstDelayMs * 2 ** Math.min(this.#failures - 1, 10))
    const delayMs = fullMs * (0.5 + this.#random.float() / 2)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.wanted) this.dialNow()
    }, delayMs)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.link?.open === false) this.link.finish()
  }
}

/** The dialers of a network by address, one for all endpoints learned to be there. */
export class DialerBook {
  readonly #random: Random
  readonly #open: (socket: Socket, dialer: Dialer) => PeerLink
  readonly #byAddress = new Map<string, Dialer>()

  constructor(random: Random, open: (socket: Socket, dialer: Dialer) => PeerLink) {
    this.#random = random
    this.#open = open
  }

  assign(endpoint: Endpoint, address: string): void {
    if (endpoint.dialer?.address === address) return
    this.release(endpoint)
    let dialer = this.#byAddress.get(address)
    if (dialer === undefined) {
      dialer = new Dialer(address, this.#random, this.#open)
      this.#byAddress.set(address, dialer)
    }
    endpoint.dialer = dialer
    dialer.endpoints.add(endpoint)
    if (dialer.wanted) dialer.dial()
  }

  /** An open link outlives its dialer's endpoints; an attempt does not. */
  release(endpoint: Endpoint): void {
    const { dialer } = endpoint
    if (dialer === undefined) return
    endpoint.dialer = undefined
    dialer.endpoints.delete(endpoint)
    if (dialer.endpoints.size > 0) return
    this.#byAddress.delete(dialer.address)
    dialer.stop()
  }

  stop(): void {
    for (const dialer of this.#byAddress.values()) dialer.stop()
  }
}
