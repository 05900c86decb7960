import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import { type EndpointId, observerEndpoint } from './endpoint.ts'
import { answer, type Packet, packet } from './packet.ts'
import type { Role, RoleEnv } from './role.ts'

/** A refused connection tells of the process that was there; later another one may be. */
const refusalCountsMs = 5_000
/** Of the time that the asker gives; the rest is for the way back. */
const patienceShare = 0.8
const defaultDeadlineMs = 500
/** Under way at once; more are refused with OVERLOADED. */
const questionsMax = 16

interface Question {
  readonly from: EndpointId
  readonly request: Packet<'OBSERVE'>
  readonly heard: boolean[]
  readonly dueMs: number
  open: number
}

/** A sign of life that is waited for, and where in which questions it counts. */
interface Probe {
  readonly sequence: number
  sent: boolean
  readonly waiting: { readonly question: Question; readonly index: number }[]
}

/**
 * One per node: tells arbiters whether this process can talk to others right now. The evidence is
 * fresh: for every question it asks the others itself, so that nothing old and no idle link counts.
 */
export class Observer implements Role {
  readonly #env: RoleEnv
  readonly #probes = new Map<EndpointId, Probe>()
  readonly #questions = new Set<Question>()
  readonly #refusedMs = new Map<EndpointId, number>()
  #sequence = 0

  constructor(env: RoleEnv) {
    this.#env = env
  }

  start(): void {}

  tick(): void {
    const nowMs = this.#env.nowMs()
    for (const [peer, atMs] of this.#refusedMs) {
      if (nowMs - atMs > refusalCountsMs) this.#refusedMs.delete(peer)
    }
    for (const question of this.#questions) {
      if (nowMs >= question.dueMs) this.#answer(question)
    }
    for (const [peer, probe] of this.#probes) {
      if (!probe.waiting.some(({ question }) => question.open > 0)) this.#probes.delete(peer)
      else if (!probe.sent) this.#send(peer, probe)
    }
  }

  onPacket(from: EndpointId, received: Packet): void {
    switch (received.kind) {
      case 'PROBE':
        this.#env.send(from, answer(received, 'PROBE_OK', { bootId: this.#env.bootId }))
        break
      case 'PROBE_OK':
        this.#onSign(from, received)
        break
      case 'OBSERVE':
        if (!from.startsWith('arbiter/')) this.#refuse(from, received, 'FORBIDDEN')
        else if (this.#questions.size >= questionsMax) this.#refuse(from, received, 'OVERLOADED')
        else this.#onQuestion(from, received)
        break
      case 'ERROR':
      case 'TABLE':
        break
      default:
        if (received.sequence !== 0) this.#refuse(from, received, 'UNEXPECTED_PACKET')
    }
  }

  onPeer(peer: EndpointId, up: boolean, refused: boolean): void {
    if (!peer.startsWith('observer/')) return
    const probe = this.#probes.get(peer)
    if (up) {
      this.#refusedMs.delete(peer)
      // What was on its way over the link before is lost.
      if (probe !== undefined) probe.sent = false
    } else if (refused) {
      this.#refusedMs.set(peer, this.#env.nowMs())
      this.#settle(peer, undefined)
    }
  }

  onTable(): void {}

  flush(): void {}

  stopping(): boolean {
    return true
  }

  #onQuestion(from: EndpointId, request: Packet<'OBSERVE'>): void {
    const { suspects } = request.payload
    const patienceMs = (request.deadlineMs || defaultDeadlineMs) * patienceShare
    const dueMs = this.#env.nowMs() + patienceMs
    const heard = suspects.map(() => false)
    const question: Question = { from, request, heard, dueMs, open: 0 }
    for (const [index, { nodeId }] of suspects.entries()) {
      const peer = observerEndpoint(nodeId)
      if (this.#refusedMs.has(peer)) continue
      question.open++
      this.#probeOf(peer).waiting.push({ question, index })
    }
    if (question.open === 0) this.#answer(question)
    else this.#questions.add(question)
  }

  #probeOf(peer: EndpointId): Probe {
    let probe = this.#probes.get(peer)
    if (probe === undefined) {
      probe = { sequence: ++this.#sequence, sent: false, waiting: [] }
      this.#probes.set(peer, probe)
      this.#send(peer, probe)
    }
    return probe
  }

  /** What cannot leave yet, because a link is being made, is tried again with every tick. */
  #send(peer: EndpointId, probe: Probe): void {
    const { bootId } = this.#env
    probe.sent = this.#env.send(peer, packet('PROBE', {}, { bootId, sequence: probe.sequence }))
  }

  #onSign(from: EndpointId, { bootId, sequence, payload }: Packet<'PROBE_OK'>): void {
    if (bootId !== this.#env.bootId || this.#probes.get(from)?.sequence !== sequence) return
    this.#settle(from, payload.bootId)
  }

  /** @param bootId undefined when nobody is there. */
  #settle(peer: EndpointId, bootId: number | undefined): void {
    const probe = this.#probes.get(peer)
    this.#probes.delete(peer)
    for (const { question, index } of probe?.waiting ?? []) {
      if (question.open === 0) continue
      question.heard[index] = question.request.payload.suspects[index]!.bootId === bootId
      if (--question.open === 0) this.#answer(question)
    }
  }

  #answer(question: Question): void {
    question.open = 0
    this.#questions.delete(question)
    const { from, request, heard } = question
    this.#env.send(from, answer(request, 'OBSERVE_OK', { heard }))
  }

  #refuse(from: EndpointId, request: Packet, code: ErrorCode): void {
    const { number, summary: text } = errorCodes[code]
    const payload = { code: number, text, retryAfterMs: 0, hint: undefined }
    this.#env.send(from, answer(request, 'ERROR', payload))
  }
}
