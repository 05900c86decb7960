import { createServer, type Server, type Socket } from 'node:net'
import { helloMac, welcomeMac } from '../../src/net/handshake.ts'
import type { LinkPurpose } from '../../src/net/peer-link.ts'
import { decodeFrame, type Frame, FrameReader } from '../../src/protocol/frame.ts'
import type { PayloadOf } from '../../src/protocol/kinds.ts'
import { packet } from '../../src/protocol/packet.ts'
import { testSecret } from './peer-network-harness.ts'
import { frameOf, type RawPeer } from './raw-peer.ts'

/** What a hand-made node says of itself in HELLO. */
export interface Claims {
  readonly secret?: Buffer
  readonly purpose?: LinkPurpose
  readonly nodeId?: string
  readonly bootId?: number
  readonly endpoints?: PayloadOf<'HELLO'>['endpoints']
  readonly clusterTag?: number
  readonly epoch?: number
}

/** A HELLO for the challenge that `raw` has got. */
export async function helloFrame(raw: RawPeer, claims: Claims): Promise<Buffer> {
  const { nonce } = (await raw.first('CHALLENGE')).payload
  const hello = {
    nodeId: claims.nodeId ?? 'raw',
    bootId: claims.bootId ?? 5,
    purpose: claims.purpose ?? 'node',
    endpoints: claims.endpoints ?? [{ index: 0, id: 'logic/raw' }],
    nonce: Buffer.alloc(32, 1),
    mac: Buffer.alloc(0) as Buffer
  }
  hello.mac = helloMac(claims.secret ?? testSecret, nonce, hello)
  const { clusterTag = 0, epoch = 0 } = claims
  return frameOf(packet('HELLO', hello), { clusterTag, epoch })
}

/** Listens like node `silent` with boot id 4 and one endpoint, greets the first that dials, and says nothing more to anybody. */
export class SilentNode {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #endpoint: string
  readonly #secret: Buffer
  readonly #onHello: () => void
  /** What the others sent after the greeting. */
  readonly frames: Frame[] = []
  #greeted = false

  /** @param onHello called before a greeting is answered. */
  constructor(endpoint: string, secret = testSecret, onHello = (): void => {}) {
    this.#endpoint = endpoint
    this.#secret = secret
    this.#onHello = onHello
    this.#server = createServer(socket => this.#accept(socket))
  }

  listen(): Promise<string> {
    return new Promise(resolve => {
      this.#server.listen(0, '127.0.0.1', () => {
        const address = this.#server.address()
        resolve(`127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`)
      })
    })
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {})
    if (this.#greeted) return
    this.#greeted = true
    const nonce = Buffer.alloc(32, 3)
    const reader = new FrameReader(1 << 20)
    socket.on('data', (chunk: Buffer) => {
      reader.push(chunk)
      while (reader.next()) {
        const frame = decodeFrame(reader.buffer, reader.start, reader.end)
        if (frame.packet.kind !== 'HELLO') this.frames.push(frame)
        else {
          this.#onHello()
          this.#welcome(socket, nonce, frame.packet.payload.nonce)
        }
      }
    })
    socket.write(frameOf(packet('CHALLENGE', { nonce })))
  }

  #welcome(socket: Socket, nonce: Buffer, dialerNonce: Buffer): void {
    const endpoints = [{ index: 0, id: this.#endpoint }]
    const welcome = { nodeId: 'silent', bootId: 4, endpoints, mac: nonce, hints: [] }
    welcome.mac = welcomeMac(this.#secret, nonce, dialerNonce, welcome)
    socket.write(frameOf(packet('WELCOME', welcome)))
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}
