import type { RingsetError } from '../base/errors.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { PayloadOf } from '../protocol/kinds.ts'
import type { Packet } from '../protocol/packet.ts'
import type { Role, RoleEnv } from '../protocol/role.ts'
import { parseSession, routingKey } from '../protocol/session.ts'
import { RouteClient } from '../route/route-client.ts'
import type { AnswerKind, RequestKind } from '../route/route-types.ts'
import { isFailure } from './history.ts'
import { exponential } from './swarm.ts'
import type { World } from './world.ts'

const deadlineMs = 8_000
const thinkMs = 30

/** A backend that asks routers itself, one request after the other: appends, latest msgids, sequences. */
export class SimBackend implements Role {
  readonly #world: World
  readonly #env: RoleEnv
  readonly #route: RouteClient
  readonly #name: string
  readonly #sessions: readonly string[]
  #busy = false
  #nextAtMs = 0
  #clientMsgId = 0
  working = true

  /** @param sessions of this backend's user, `bot`. */
  constructor(world: World, env: RoleEnv, sessions: readonly string[]) {
    this.#world = world
    this.#env = env
    this.#name = env.self
    this.#sessions = sessions
    this.#route = new RouteClient(env)
  }

  get busy(): boolean {
    return this.#busy
  }

  start(): void {}

  tick(): void {
    this.#route.tick()
    const nowMs = this.#env.nowMs()
    if (this.#busy || !this.working || nowMs < this.#nextAtMs) return
    this.#nextAtMs = nowMs + exponential(this.#env.random, thinkMs)
    if (this.#env.table().epoch === 0) return
    this.#busy = true
    const choice = this.#env.random.below(10)
    if (choice < 4) this.#append(this.#pick(this.#sessions))
    else if (choice < 7) this.#latest(this.#pick(this.#sessions))
    else if (choice < 8) this.#latest(this.#pick(this.#world.sessions))
    else this.#sequence(`sequence-${this.#env.random.below(3)}`)
  }

  #pick(sessions: readonly string[]): string {
    return sessions[this.#env.random.below(sessions.length)]!
  }

  #append(session: string): void {
    const clientMsgId = this.#world.nextMessage(session)
    const identity = { uid: 'bot', deviceId: this.#name, clientMsgId: ++this.#clientMsgId }
    const body = Buffer.from(String(clientMsgId))
    const sent = { ...identity, clientMsgId }
    this.#operate('send', session, sent, 'APPEND', { session, ...identity, type: 0, body }, ok => {
      const { msgid, duplicate } = ok.payload
      this.#world.acked(session, msgid, clientMsgId)
      return { msgid, duplicate }
    })
  }

  #latest(session: string): void {
    this.#operate('latest', session, null, 'LATEST', { sessions: [session] }, ok => ({
      msgid: ok.payload.cursors[0]!.msgid
    }))
  }

  #sequence(name: string): void {
    const count = 1 + this.#env.random.below(3)
    this.#operate('sequence.next', name, null, 'SEQUENCE', { name, count }, ok => ok.payload)
  }

  #operate<K extends RequestKind>(
    f: string,
    key: string,
    request: unknown,
    kind: K,
    payload: PayloadOf<K>,
    answerOf: (ok: { readonly payload: PayloadOf<AnswerKind<K>> }) => unknown
  ): void {
    const { history } = this.#world
    history.add(this.#name, 'invoke', f, key, request)
    const routedBy = f === 'sequence.next' ? key : routingKey(key, parseSession(key))
    const slot = this.#env.table().slotOf(routedBy)
    this.#route.request({ slot }, kind, payload, {
      deadlineMs,
      onDone: result => {
        this.#busy = false
        const answered: unknown = result
        if (isFailure(answered)) history.failed(this.#name, f, key, answered as RingsetError)
        else {
          const ok = answered as { readonly payload: PayloadOf<AnswerKind<K>> }
          history.add(this.#name, 'ok', f, key, answerOf(ok))
        }
      }
    })
  }

  onPacket(from: EndpointId, received: Packet): void {
    this.#route.onPacket(from, received)
  }

  onPeer(peer: EndpointId, up: boolean): void {
    this.#route.onPeer(peer, up)
  }

  onTable(): void {
    this.#route.onTable()
  }

  flush(): void {}

  stopping(): boolean {
    return true
  }
}
