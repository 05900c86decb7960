import { type EndpointId, observerEndpoint } from '../protocol/endpoint.ts'
import { hardLimits, type PayloadOf } from '../protocol/kinds.ts'
import { type Packet, packet } from '../protocol/packet.ts'
import type { RoleEnv } from '../protocol/role.ts'
import type { RoutingTable } from '../table/table.ts'
import { type KnownProcess, knownProcesses } from './processes.ts'

/** How many other nodes are asked about one. */
const observersAsked = 3
/** Rounds of asking in the time of `downAfterMs`. */
const roundsPerDownAfter = 6
const shortestRoundMs = 50
/** How many rounds an answer counts, unless the observer gives another. */
const roundsAnswerCounts = 3
/** Nobody answers at all: after so many times `downAfterMs` more the leader's own word is enough. */
const patienceFactor = 2

/**
 * `alone`: nobody else could know · `open`: answers are still to come · `heard`: it lives, somebody
 * talks to it · `silent`: others do not reach it either.
 */
type Opinion = 'alone' | 'open' | 'heard' | 'silent'

/** What an observer said of a suspect, and until when an answer of it is waited for. */
interface Word {
  heard: boolean
  atMs: number
  waitUntilMs: number
}

/** One life of a node that the leader does not hear. */
interface Suspect {
  readonly nodeId: string
  readonly bootId: number
  readonly setIds: Set<string>
  readonly sinceMs: number
  askedMs: number
  /** Other nodes that there are to ask. */
  observers: number
  readonly words: Map<string, Word>
  /** That somebody hears it has been logged. */
  told: boolean
}

interface Question {
  readonly observer: string
  readonly about: readonly Suspect[]
  readonly askedMs: number
}

/**
 * Whether others can talk to the nodes that the leader does not hear. Asks a few nodes again and
 * again, for as long as a suspicion lasts; every answer is fresh evidence of the life it names.
 */
export class SecondOpinions {
  readonly #env: RoleEnv
  readonly #ownNode: string
  readonly #downAfterMs: number
  readonly #roundMs: number
  readonly #suspects = new Map<string, Suspect>()
  /** By sequence; those that are younger than a round. */
  readonly #questions = new Map<number, Question>()
  /** Observers that owe an answer: they are asked only where there are no others. */
  readonly #mute = new Set<string>()
  #sequence = 0

  constructor(env: RoleEnv, ownNode: string, downAfterMs: number) {
    this.#env = env
    this.#ownNode = ownNode
    this.#downAfterMs = downAfterMs
    this.#roundMs = Math.max(shortestRoundMs, downAfterMs / roundsPerDownAfter)
  }

  reset(): void {
    this.#suspects.clear()
    this.#questions.clear()
    this.#mute.clear()
  }

  /** @param suspected all processes that are suspected now. Asks about those for which it is time. */
  attend(table: RoutingTable, suspected: readonly KnownProcess[], nowMs: number): void {
    this.#keep(suspected, nowMs)
    const due = [...this.#suspects.values()].filter(({ askedMs }) => {
      return nowMs - askedMs >= this.#roundMs
    })
    if (due.length === 0) return
    this.#forgetQuestions(nowMs)
    const observers = this.#observersIn(table)
    const questions = new Map<string, Suspect[]>()
    for (const suspect of due) {
      const asked = this.#chosen(suspect, observers)
      suspect.observers = asked.length
      suspect.askedMs = nowMs
      for (const observer of asked) {
        const about = questions.get(observer)
        if (about === undefined) questions.set(observer, [suspect])
        else if (about.length < hardLimits.suspects) about.push(suspect)
      }
    }
    for (const [observer, about] of questions) this.#ask(observer, about, nowMs)
  }

  /**
   * Whether a process that is overdue may be called down: others do not reach it either, or nobody
   * else could know. It was suspected when `attend` was called last.
   */
  agree(process: KnownProcess, nowMs: number): boolean {
    const opinion = this.#of(process, nowMs)
    const suspect = this.#suspects.get(lifeOf(process.nodeId, process.bootId))
    if (opinion === 'heard' && suspect?.told === false) {
      suspect.told = true
      const { nodeId, bootId } = process
      const observers = [...suspect.words].flatMap(([id, { heard }]) => (heard ? [id] : []))
      this.#env.log.warn('arbiter.node_heard_by_others', { nodeId, bootId, observers })
      this.#env.metrics.count('arbiter_nodes_spared_total')
    }
    return opinion === 'alone' || opinion === 'silent'
  }

  #of({ nodeId, bootId }: KnownProcess, nowMs: number): Opinion {
    const suspect = this.#suspects.get(lifeOf(nodeId, bootId))
    if (suspect === undefined) return 'open'
    if (suspect.observers === 0) return 'alone'
    let heard = 0
    let silent = 0
    let awaited = 0
    for (const word of suspect.words.values()) {
      if (nowMs - word.atMs < roundsAnswerCounts * this.#roundMs) {
        if (word.heard) heard++
        else silent++
      } else if (nowMs < word.waitUntilMs) {
        awaited++
      }
    }
    // The leader is one of those that do not hear it.
    if (silent > 0 && silent + 1 > heard + awaited) return 'silent'
    if (heard > 0) return 'heard'
    const patienceMs = patienceFactor * this.#downAfterMs
    return silent === 0 && nowMs - suspect.sinceMs >= patienceMs ? 'alone' : 'open'
  }

  onAnswer(from: EndpointId, { bootId, sequence, payload }: Packet<'OBSERVE_OK'>): void {
    const question = this.#questions.get(sequence)
    const expected = bootId === this.#env.bootId && question !== undefined
    if (!expected || from !== observerEndpoint(question.observer)) return
    this.#questions.delete(sequence)
    this.#mute.delete(question.observer)
    const { about, observer } = question
    if (payload.heard.length !== about.length) {
      this.#env.metrics.count('arbiter_bad_observations_total')
      return
    }
    const atMs = this.#env.nowMs()
    for (const [i, suspect] of about.entries()) {
      suspect.words.set(observer, { heard: payload.heard[i]!, atMs, waitUntilMs: 0 })
    }
  }

  /** Suspicions end when the process is heard, called down, or starts another life. */
  #keep(suspected: readonly KnownProcess[], nowMs: number): void {
    const lives = new Set<string>()
    for (const { nodeId, bootId, setId } of suspected) {
      const life = lifeOf(nodeId, bootId)
      lives.add(life)
      const known = this.#suspects.get(life)
      if (known !== undefined) {
        known.setIds.add(setId)
        continue
      }
      this.#suspects.set(life, {
        nodeId,
        bootId,
        setIds: new Set([setId]),
        sinceMs: nowMs,
        askedMs: Number.NEGATIVE_INFINITY,
        observers: 0,
        words: new Map(),
        told: false
      })
    }
    for (const life of this.#suspects.keys()) if (!lives.has(life)) this.#suspects.delete(life)
  }

  /** Nodes that may know something, with the sets that they work for: none that is suspected itself. */
  #observersIn(table: RoutingTable): Map<string, Set<string>> {
    const observers = new Map<string, Set<string>>()
    for (const { nodeId, setId, state } of knownProcesses(table)) {
      if (state === 'down') continue
      const sets = observers.get(nodeId)
      if (sets === undefined) observers.set(nodeId, new Set([setId]))
      else sets.add(setId)
    }
    for (const { nodeId } of table.arbiters) {
      if (!observers.has(nodeId)) observers.set(nodeId, new Set())
    }
    observers.delete(this.#ownNode)
    for (const { nodeId } of this.#suspects.values()) observers.delete(nodeId)
    return observers
  }

  /** Those of its own sets first: they talk to it anyway. */
  #chosen(suspect: Suspect, observers: ReadonlyMap<string, ReadonlySet<string>>): string[] {
    const rank = ([nodeId, sets]: readonly [string, ReadonlySet<string>]): number => {
      if (this.#mute.has(nodeId)) return 2
      return [...suspect.setIds].some(setId => sets.has(setId)) ? 0 : 1
    }
    return [...observers]
      .sort((a, b) => rank(a) - rank(b))
      .slice(0, observersAsked)
      .map(([nodeId]) => nodeId)
  }

  #forgetQuestions(nowMs: number): void {
    for (const [sequence, { observer, askedMs }] of this.#questions) {
      if (nowMs - askedMs < this.#roundMs) continue
      this.#questions.delete(sequence)
      this.#mute.add(observer)
    }
  }

  #ask(observer: string, about: readonly Suspect[], nowMs: number): void {
    const suspects = about.map(({ nodeId, bootId }) => ({ nodeId, bootId }))
    const payload: PayloadOf<'OBSERVE'> = { suspects }
    const sequence = ++this.#sequence
    const header = { bootId: this.#env.bootId, sequence, deadlineMs: Math.ceil(this.#roundMs) }
    this.#questions.set(sequence, { observer, about, askedMs: nowMs })
    if (!this.#env.send(observerEndpoint(observer), packet('OBSERVE', payload, header))) return
    for (const { words } of about) {
      const word = words.get(observer)
      const waitUntilMs = nowMs + this.#roundMs
      if (word !== undefined) word.waitUntilMs = waitUntilMs
      else words.set(observer, { heard: false, atMs: Number.NEGATIVE_INFINITY, waitUntilMs })
    }
  }
}

function lifeOf(nodeId: string, bootId: number): string {
  return `${nodeId} ${bootId}`
}
