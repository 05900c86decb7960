import type { Random } from '../base/ports.ts'
import { Prng } from '../base/prng.ts'
import { AddressBook } from '../client/address-book.ts'
import { ClientCore, type ClientLink } from '../client/client-core.ts'
import { Inbox } from '../client/inbox.ts'
import { defaultOutboxOptions, Outbox, Outgoing } from '../client/outbox.ts'
import { isBreak } from '../protocol/eras.ts'
import type { Cursor, DeviceClass, Message } from '../protocol/kinds.ts'
import type { Packet } from '../protocol/packet.ts'
import { createTableKeeper } from '../table/create-table-keeper.ts'
import type { TableKeeper } from '../table/table-keeper.ts'
import { isFailure } from './history.ts'
import { SimFailure } from './invariants.ts'
import { LateRepeats } from './late-repeats.ts'
import type { ClientEnd } from './sim-gates.ts'
import { exponential, pick } from './swarm.ts'
import type { World } from './world.ts'

const tickMs = 100
const idBlock = 1_000
const sendDeadlineMs = 3_600_000
/** A device does not pile up more than it could ever send. */
const unfinishedMax = 200

/** One device of a user: the real client without its sockets and timers. Cursors and ids outlive a restart. */
export class SimDevice implements ClientEnd {
  readonly name: string
  readonly uid: string
  readonly deviceId: string
  readonly #class: DeviceClass
  readonly #world: World
  readonly #random: Prng
  readonly #addresses: readonly string[]
  keeper: TableKeeper = createTableKeeper()
  muted = false
  readsEveryMs = 0
  #core: ClientCore | undefined
  #link: ClientLink | undefined
  readonly #repeats: LateRepeats
  #inbox = new Inbox(() => 'done')
  #outbox: Outbox | undefined
  #life = 0
  // What is on its disk.
  #cursors = new Map<string, number>()
  #idCeiling = 1
  #connSeq = 0
  readonly #sessions: readonly string[]
  /** Session → newest msgid received. */
  readonly held = new Map<string, number>()
  /** When it last received a message. */
  receivedMs = 0
  /** Sends of this life without an end. */
  #unfinished = 0
  sending = true

  constructor(
    world: World,
    who: { readonly uid: string; readonly deviceId: string; readonly class: DeviceClass },
    addresses: readonly string[],
    sessions: readonly string[]
  ) {
    this.#world = world
    this.uid = who.uid
    this.deviceId = who.deviceId
    this.#class = who.class
    this.name = `${who.uid}/${who.deviceId}`
    this.#addresses = addresses
    this.#sessions = sessions
    this.#random = new Prng(world.seed, `device ${this.name}`)
    this.#repeats = new LateRepeats(world)
  }

  get unfinished(): number {
    return this.#unfinished
  }

  get state(): string {
    return this.#core?.state ?? 'off'
  }

  start(): void {
    const { kernel, gates } = this.#world
    const life = ++this.#life
    const current = (): boolean => this.#life === life
    const random = new Prng(this.#random.id48())
    const firstId = this.#idCeiling
    this.#idCeiling += idBlock
    const cursors: Cursor[] = [...this.#cursors].map(([session, msgid]) => ({ session, msgid }))
    this.keeper = createTableKeeper({ work: this.#world.tables })
    this.#unfinished = 0
    this.#inbox = new Inbox((session, message) => this.#deliver(session, message), cursors)
    this.#outbox = new Outbox(kernel.nowMs(), firstId, this.#idCeiling, {
      ...defaultOutboxOptions,
      repeatMs: 4_000
    })
    const book = new AddressBook(this.uid, this.#addresses, random)
    this.keeper.onAdopted(view => book.learn(view))
    const env = {
      nowMs: () => kernel.nowMs(),
      wallMs: () => 1_700_000_000_000 + kernel.nowMs(),
      random,
      dial: (address: string, events: Parameters<typeof gates.dial>[2]) =>
        gates.dial(address, this, {
          onOpen: link => {
            if (!current()) link.close()
            else {
              this.#link = link
              events.onOpen(link)
            }
          },
          onPacket: received => {
            if (!current() || this.#repeats.takes(received)) return
            this.#judgePush(received)
            events.onPacket(received)
          },
          onClose: error => current() && events.onClose(error)
        }),
      token: (done: (token: string) => void) => done(this.uid),
      onState: (state: string) => this.#onState(state)
    }
    const options = {
      deviceId: this.deviceId,
      class: this.#class,
      connSeq: this.#connSeq,
      freshTokens: true
    }
    this.#core = new ClientCore(env, options, book, this.#inbox, this.#outbox)
    this.#core.start()
    this.#tick(life)
    this.#sendLater(life)
  }

  /** The application dies, and starts again from what its disk holds. */
  restart(offMs: number): void {
    this.#life++
    const life = this.#life
    this.#world.trace.event(this.#world.kernel.nowMs(), 'device restart', life)
    this.#unfinished = 0
    this.#world.gates.reset(this)
    this.#core = undefined
    this.#world.kernel.schedule(offMs, () => {
      if (this.#life === life) this.start()
    })
  }

  /** Nobody gets to see what others write to each other. */
  #judgePush(received: Packet): void {
    if (received.kind !== 'PUSH') return
    const foreign = received.payload.pages.find(({ session }) => !this.#sessions.includes(session))
    if (foreign === undefined) return
    throw new SimFailure('foreign', `${this.name} is sent messages of ${foreign.session}`)
  }

  #onState(state: string): void {
    const { world } = { world: this.#world }
    this.#connSeq = Math.max(this.#connSeq, this.#core?.connSeq ?? 0)
    world.counted(`device_${state}`)
    world.trace.tell(world.kernel.nowMs(), this.name, () => state)
    // Another connection of this device cannot exist, so a kick is a late word about an earlier one.
    if (state === 'kicked' || state === 'failed') this.restart(500)
  }

  #tick(life: number): void {
    this.#world.kernel.schedule(tickMs, () => {
      if (this.#life !== life) return
      this.#core?.tick()
      for (const { session, msgid } of this.#inbox.takeChanged()) this.#cursors.set(session, msgid)
      const outbox = this.#outbox!
      if (outbox.idsLeft < idBlock / 2) {
        this.#idCeiling += idBlock
        outbox.raiseCeiling(this.#idCeiling)
      }
      if (this.#life === life) this.#tick(life)
    })
  }

  #sendLater(life: number): void {
    const delayMs = exponential(this.#random, this.#world.swarm.sendEveryMs)
    this.#world.kernel.schedule(delayMs, () => {
      if (this.#life !== life || !this.sending) return
      if (this.#unfinished < unfinishedMax) this.#send(life)
      this.#sendLater(life)
    })
  }

  /** Sends so many messages at once, all into one session. */
  burst(count: number, random: Random): void {
    if (this.#core === undefined || !this.sending) return
    const session = pick(random, this.#sessions)
    for (let i = 0; i < count && this.#unfinished < unfinishedMax; i++) {
      this.#send(this.#life, session)
    }
  }

  /** Sends again what was acknowledged long ago. */
  repeatLate(random: Random): void {
    if (this.state === 'connected') this.#repeats.send(this.#link!, random)
  }

  #send(life: number, session = pick(this.#random, this.#sessions)): void {
    const { history, kernel } = this.#world
    const { uid, deviceId } = this
    const clientMsgId = this.#world.nextMessage(session)
    const process = `${this.name}#${clientMsgId}`
    history.add(process, 'invoke', 'send', session, { uid, deviceId, clientMsgId })
    this.#unfinished++
    const deadlineAtMs = kernel.nowMs() + sendDeadlineMs
    const body = Buffer.from(String(clientMsgId))
    const item = new Outgoing(session, 0, body, deadlineAtMs, result => {
      if (this.#life !== life) return
      this.#unfinished--
      if (isFailure(result)) history.failed(process, 'send', session, result)
      else {
        const { msgid, duplicate } = result
        history.add(process, 'ok', 'send', session, { msgid, duplicate })
        this.#world.acked(session, msgid, clientMsgId)
        this.#repeats.acknowledged(item, msgid)
      }
    })
    this.#outbox!.add(item)
    this.#core!.pump()
  }

  #deliver(session: string, message: Message): 'done' {
    const { uid, deviceId, name } = this
    const { msgid, from: sender, deviceId: senderDevice, body } = message
    this.held.set(session, msgid)
    this.receivedMs = this.#world.kernel.nowMs()
    this.#cursors.set(session, msgid)
    this.#world.received(session, msgid)
    // Nobody has sent it.
    if (isBreak(message)) return 'done'
    const clientMsgId = Number(body.toString())
    const value = { uid, device: deviceId, session, msgid, clientMsgId, sender, senderDevice }
    this.#world.history.add(name, 'ok', 'receive', session, value)
    return 'done'
  }
}
