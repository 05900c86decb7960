import { LinearizedSet } from './linearized-set.ts'

/**
 * One operation of a history. Times are positions in the history: only their order counts, and no
 * two are the same.
 */
export interface Operation<Input> {
  readonly call: number
  /** Infinity = outcome unknown: it may take effect at any time after `call`, or never. */
  readonly return: number
  /** What was asked and answered. */
  readonly input: Input
  /**
   * Operations of one chain take effect in the order passed in. Those of unknown outcome must have
   * the same input and be in order of call.
   */
  readonly chain?: number
}

/** A sequential specification. */
export interface Model<State, Input> {
  readonly initial: State
  /** The state after the operation, undefined when it cannot have answered that in this state. */
  step(state: State, input: Input): State | undefined
  /** Equal for equal states only. */
  key(state: State): string
  /**
   * Whether the operation, if it leaves one state as it is, would do so in every state that can
   * follow.
   */
  staysIdle(input: Input): boolean
  /** For people. */
  show(input: Input): string
}

export type Search =
  | { readonly result: 'linearizable' | 'unknown'; readonly steps: number }
  | { readonly result: 'violation'; readonly steps: number; readonly stuck: Stuck }

/** How far the best attempt came. */
export interface Stuck {
  readonly linearized: number
  readonly known: number
  /** Key of the state there. */
  readonly state: string
  /** Positions in the operations passed in, of those of which one would have had to come next. */
  readonly candidates: readonly number[]
}

/**
 * Whether some order of the operations, consistent with real time, satisfies the model. Search of
 * Wing and Gong (1993) with Lowe's cache of (linearized set, state) (2017). Three additions, all
 * exact: an operation that is idle for good is linearized at once where it fits, without
 * alternatives; operations of unknown outcome are tried only when no other fits; and a point is not
 * searched again if the search was there before with fewer of them used up.
 * @param budget steps (calls of `model.step`) after which the answer is `unknown`.
 */
export function linearize<State, Input>(
  operations: readonly Operation<Input>[],
  model: Model<State, Input>,
  budget: number
): Search {
  return new Searcher(operations, model, budget).run()
}

type Attempt = 'no' | 'done' | 'dead'

/**
 * Nodes: 0 … n − 1 are calls, n … 2n − 1 returns, 2n the head of the linked list of what is not
 * linearized yet.
 */
class Searcher<State, Input> {
  readonly #operations: readonly Operation<Input>[]
  readonly #model: Model<State, Input>
  readonly #budget: number
  /**
   * Node → position in the operations passed in. Operations of known outcome come first, each kind
   * by call.
   */
  readonly #order: Int32Array
  readonly #known: number
  readonly #after: Int32Array
  readonly #next: Int32Array
  readonly #previous: Int32Array
  readonly #head: number
  readonly #knownSet: LinearizedSet
  readonly #unknownSet: LinearizedSet
  readonly #seen = new SeenPoints()
  /** The path: node, the state before it, and whether it had no alternative. */
  readonly #path: number[] = []
  readonly #states: State[] = []
  readonly #forced: boolean[] = []
  #state: State
  #stateKey: string
  /**
   * The next call to try: while `#tryUnknown`, counted down from the last one that may come next.
   */
  #cursor: number
  #tryUnknown = false
  #left: number
  #steps = 0
  #stuck: Stuck

  constructor(operations: readonly Operation<Input>[], model: Model<State, Input>, budget: number) {
    const count = operations.length
    this.#operations = operations
    this.#model = model
    this.#budget = budget
    this.#order = callOrder(operations)
    this.#known = operations.reduce((sum, one) => (Number.isFinite(one.return) ? sum + 1 : sum), 0)
    this.#left = this.#known
    this.#after = this.#predecessors()
    this.#head = 2 * count
    this.#next = new Int32Array(2 * count + 1)
    this.#previous = new Int32Array(2 * count + 1)
    this.#link()
    this.#knownSet = new LinearizedSet(this.#known)
    this.#unknownSet = new LinearizedSet(count - this.#known)
    this.#state = model.initial
    this.#stateKey = model.key(model.initial)
    this.#cursor = this.#next[this.#head]!
    this.#stuck = { linearized: -1, known: this.#known, state: this.#stateKey, candidates: [] }
  }

  run(): Search {
    while (this.#left > 0) {
      if (this.#advance()) continue
      if (this.#steps >= this.#budget) return { result: 'unknown', steps: this.#steps }
      this.#noteStuck()
      if (!this.#backtrack()) {
        return { result: 'violation', steps: this.#steps, stuck: this.#stuck }
      }
    }
    return { result: 'linearizable', steps: this.#steps }
  }

  /** Linearizes one more operation that may come next; false when none does. */
  #advance(): boolean {
    const count = this.#operations.length
    for (;;) {
      const node = this.#cursor
      if (!this.#tryUnknown && node >= count) {
        // The first return: nothing that was called after it may come before it.
        this.#tryUnknown = true
        this.#cursor = this.#lastUnknownBefore(this.#operation(node - count).return)
        continue
      }
      if (this.#tryUnknown && node < this.#known) return false
      this.#cursor = this.#tryUnknown ? node - 1 : this.#next[node]!
      if (this.#steps >= this.#budget) return false
      const attempt = this.#attempt(node)
      if (attempt === 'done') return true
      if (attempt === 'dead') return false
    }
  }

  #attempt(node: number): Attempt {
    const unknown = node >= this.#known
    if (unknown && this.#isLinearized(node)) return 'no'
    const after = this.#after[node]!
    if (after >= 0 && !this.#isLinearized(after)) return 'no'
    this.#steps++
    const { input } = this.#operation(node)
    const state = this.#model.step(this.#state, input)
    if (state === undefined) return 'no'
    const key = this.#model.key(state)
    const same = key === this.#stateKey
    const forced = same && this.#model.staysIdle(input)
    if (same && unknown && !forced) return 'no'
    this.#mark(node)
    const samePoint = same && unknown
    if (!samePoint && !this.#seen.add(`${this.#knownSet.key()}${key}`, this.#unknownSet)) {
      this.#unmark(node)
      return forced ? 'dead' : 'no'
    }
    this.#path.push(node)
    this.#states.push(this.#state)
    this.#forced.push(forced)
    this.#state = state
    this.#stateKey = key
    this.#lift(node)
    this.#tryUnknown = false
    this.#cursor = this.#next[this.#head]!
    return 'done'
  }

  /** Takes back operations up to one that had alternatives; false when there is none. */
  #backtrack(): boolean {
    for (;;) {
      const node = this.#path.pop()
      if (node === undefined) return false
      const forced = this.#forced.pop()
      this.#state = this.#states.pop()!
      this.#unmark(node)
      this.#unlift(node)
      if (forced) continue
      this.#stateKey = this.#model.key(this.#state)
      this.#tryUnknown = node >= this.#known
      this.#cursor = this.#tryUnknown ? node - 1 : this.#next[node]!
      return true
    }
  }

  #noteStuck(): void {
    const linearized = this.#known - this.#left
    if (linearized <= this.#stuck.linearized) return
    const candidates: number[] = []
    const count = this.#operations.length
    let node = this.#next[this.#head]!
    for (; node < count && candidates.length < 4; node = this.#next[node]!) {
      candidates.push(this.#order[node]!)
    }
    this.#stuck = { linearized, known: this.#known, state: this.#stateKey, candidates }
  }

  /**
   * The last operation of unknown outcome called before `position`; one below them all if none is.
   */
  #lastUnknownBefore(position: number): number {
    let low = this.#known - 1
    let high = this.#operations.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (this.#operation(middle).call < position) low = middle
      else high = middle
    }
    return low
  }

  #operation(node: number): Operation<Input> {
    return this.#operations[this.#order[node]!]!
  }

  #isLinearized(node: number): boolean {
    return node < this.#known ? this.#knownSet.has(node) : this.#unknownSet.has(node - this.#known)
  }

  #mark(node: number): void {
    if (node < this.#known) this.#knownSet.add(node)
    else this.#unknownSet.add(node - this.#known)
  }

  #unmark(node: number): void {
    if (node < this.#known) this.#knownSet.remove(node)
    else this.#unknownSet.remove(node - this.#known)
  }

  #lift(node: number): void {
    if (node >= this.#known) return
    this.#left--
    this.#remove(node)
    this.#remove(node + this.#operations.length)
  }

  #unlift(node: number): void {
    if (node >= this.#known) return
    this.#left++
    this.#restore(node + this.#operations.length)
    this.#restore(node)
  }

  #remove(node: number): void {
    const next = this.#next[node]!
    const previous = this.#previous[node]!
    this.#next[previous] = next
    this.#previous[next] = previous
  }

  #restore(node: number): void {
    this.#next[this.#previous[node]!] = node
    this.#previous[this.#next[node]!] = node
  }

  #link(): void {
    const count = this.#operations.length
    const time = (node: number): number =>
      node < count ? this.#operation(node).call : this.#operation(node - count).return
    const nodes: number[] = []
    for (let node = 0; node < this.#known; node++) nodes.push(node, node + count)
    nodes.sort((a, b) => time(a) - time(b))
    let previous = this.#head
    for (const node of nodes) {
      this.#next[previous] = node
      this.#previous[node] = previous
      previous = node
    }
    this.#next[previous] = this.#head
    this.#previous[this.#head] = previous
  }

  /** Node → the node of the operation before it in its chain, −1 if none. */
  #predecessors(): Int32Array {
    const nodeOf = new Int32Array(this.#order.length)
    for (let node = 0; node < this.#order.length; node++) nodeOf[this.#order[node]!] = node
    const after = new Int32Array(this.#order.length).fill(-1)
    const lastOf = new Map<number, number>()
    this.#operations.forEach(({ chain }, position) => {
      if (chain === undefined) return
      const node = nodeOf[position]!
      after[node] = lastOf.get(chain) ?? -1
      lastOf.set(chain, node)
    })
    return after
  }
}

/** How many ways to one point are remembered. Forgetting one costs time, never correctness. */
const waysMax = 32

/** The points the search has left without success, so that it need not return to one. */
class SeenPoints {
  readonly #used = new Map<string, Uint32Array[]>()
  #last: Uint32Array = new Uint32Array(0)

  /**
   * @param point the operations of known outcome linearized so far, and the state.
   * @param unknown those of unknown outcome used up to get there.
   * @returns false if the point was added before with the same or fewer of them.
   */
  add(point: string, unknown: LinearizedSet): boolean {
    const before = this.#used.get(point)
    if (before?.some(words => unknown.includes(words))) return false
    if (!unknown.equals(this.#last)) this.#last = unknown.copy()
    if (before === undefined) this.#used.set(point, [this.#last])
    else if (before.length < waysMax) before.push(this.#last)
    return true
  }
}

function callOrder<Input>(operations: readonly Operation<Input>[]): Int32Array {
  const order = Int32Array.from(operations.keys())
  return order.sort((a, b) => {
    const one = operations[a]!
    const other = operations[b]!
    const known = Number.isFinite(one.return) ? 0 : 1
    const otherKnown = Number.isFinite(other.return) ? 0 : 1
    return known - otherKnown || one.call - other.call
  })
}
