import { type CarryMode, TableCarrier } from '../protocol/carrier.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { Packet } from '../protocol/packet.ts'
import type { SimProcess } from './sim-process.ts'

/** A packet on a link. Without endpoints it is for the link itself. */
export interface Envelope {
  readonly from: EndpointId | undefined
  readonly to: EndpointId | undefined
  readonly packet: Packet
  /** Of the sender's table when it was sent. */
  readonly epoch: number
  table: Buffer | undefined
}

/** One end of a link. */
export class Side {
  readonly link: Link
  readonly process: SimProcess
  other!: Side
  /** This process believes in the connection. */
  open = false
  /** Whether what is sent from here gets through. */
  cut = false
  /** How many times slower than usual what is sent from here travels. */
  slowFactor = 1
  /** When the newest packet from here arrives. */
  arrivesAtMs = 0
  /** The same of the urgent ones, where they have a lane of their own. */
  urgentAtMs = 0
  /** Sent into a cut. */
  held: Envelope[] = []
  /** Sent while the connection was being made. */
  waiting: Envelope[] = []
  carrier = new TableCarrier('stamp')
  /** What this process was last told about the other one. */
  state: 'unknown' | 'up' | 'lost' | 'down' | 'gone' = 'unknown'
  lostNumber = 0
  peerBootId = 0
  /** Mark of the silence under way; 0 = none. */
  silentSince = 0

  constructor(link: Link, process: SimProcess) {
    this.link = link
    this.process = process
  }

  /** The process has just started. */
  forget(): void {
    this.open = false
    this.held = []
    this.waiting = []
    this.state = 'unknown'
    this.peerBootId = 0
    this.silentSince = 0
  }

  begin(carry: CarryMode): void {
    this.open = true
    this.held = []
    this.carrier = new TableCarrier(carry, this.process.keeper)
    this.silentSince = 0
  }
}

/** The link between two processes: at most one connection at a time, each side with its own idea of whether it lives. */
export class Link {
  readonly number: number
  readonly a: Side
  readonly b: Side
  /** Number of the present connection; packets of earlier ones are lost. */
  connection = 0
  attempt = 0
  dialing = false
  failures = 0
  silences = 0

  constructor(a: SimProcess, b: SimProcess) {
    this.number = a.index * 64 + b.index
    this.a = new Side(this, a)
    this.b = new Side(this, b)
    this.a.other = this.b
    this.b.other = this.a
  }

  get whole(): boolean {
    return this.a.open && this.b.open
  }
}
