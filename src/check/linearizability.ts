import { LinearizedSet } from './linearized-set.ts'

/** One operation of a history. Times are positions in the history: only their order counts, and no two are the same. */
export interface Operation<Input> {
  readonly call: number
  /** Infinity = outcome unknown: it may take effect at any time after `call`, or never. */
  readonly return: number
  /** What was asked and answered. */
  readonly input: Input
  /** Operations of one chain take effect in the order in which they are passed in, without skipping one. */
  readonly chain?: number
}

/** A sequential specification. */
export interface Model<State, Input> {
  readonly initial: State
  /** The state after the operation, undefined when it cannot have answered that in this state. */
  step(state: State, input: Input): State | undefined
  /** Equal for equal states only. */
  key(state: State): string
  /** Whether the operation, if it leaves one state as it is, would do so in every state that can follow. */
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
 * Whether some order of the operations, consistent with real time, satisfies the model. Search of Wing and Gong (1993) with Lowe's
 * cache of (linearized set, state) (2017). Two additions, both exact: an operation that is idle for good is linearized at once where it
 * fits, without alternatives; operations of unknown outcome are tried only when no other fits.
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

/** Linked-list nodes: 0 … n − 1 calls, n … 2n − 1 returns, then the heads of the two lists. */
class Searcher<State, Input> {
  readonly #operations: readonly Operation<Input>[]
  readonly #model: Model<State, Input>
  readonly #budget: number
  /** Node → position in the operations passed in. Operations of known outcome come first, each kind by call. */
  readonly #order: Int32Array
  readonly #known: number
  readonly #after: Int32Array
  readonly #next: Int32Array
  readonly #previous: Int32Array
  readonly #knownHead: number
  readonly #unknownHead: number
  readonly #knownSet: LinearizedSet
  readonly #unknownSet: LinearizedSet
  readonly #seen = new Set<string>()
  /** The path: node, the state before it, and whether it had no alternative. */
  readonly #path: number[] = []
  readonly #states: State[] = []
  readonly #forced: boolean[] = []
  #state: State
  #stateKey: string
  #cursor: number
  #limit = 0
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
    this.#knownHead = 2 * count
    this.#unknownHead = 2 * count + 1
    this.#next = new Int32Array(2 * count + 2)
    this.#previous = new Int32Array(2 * count + 2)
    this.#link()
    this.#knownSet = new LinearizedSet(this.#known)
    this.#unknownSet = new LinearizedSet(count - this.#known)
    this.#state = model.initial
    this.#stateKey = model.key(model.initial)
    this.#cursor = this.#next[this.#knownHead]!
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
      if (node === this.#unknownHead) return false
      if (node >= count) {
        // The first return: nothing that was called after it may come before it.
        this.#limit = this.#operation(node - count).return
        this.#cursor = this.#next[this.#unknownHead]!
        continue
      }
      if (node >= this.#known && this.#operation(node).call > this.#limit) return false
      this.#cursor = this.#next[node]!
      if (this.#steps >= this.#budget) return false
      const attempt = this.#attempt(node)
      if (attempt === 'done') return true
      if (attempt === 'dead') return false
    }
  }

  #attempt(node: number): Attempt {
    const after = this.#after[node]!
    if (after >= 0 && !this.#isLinearized(after)) return 'no'
    this.#steps++
    const { input } = this.#operation(node)
    const state = this.#model.step(this.#state, input)
    if (state === undefined) return 'no'
    const key = this.#model.key(state)
    const same = key === this.#stateKey
    const forced = same && this.#model.staysIdle(input)
    if (same && node >= this.#known && !forced) return 'no'
    this.#mark(node)
    if (!this.#isNew(key)) {
      this.#unmark(node)
      return forced ? 'dead' : 'no'
    }
    this.#path.push(node)
    this.#states.push(this.#state)
    this.#forced.push(forced)
    this.#state = state
    this.#stateKey = key
    this.#lift(node)
    this.#cursor = this.#next[this.#knownHead]!
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
      if (node >= this.#known) this.#limit = this.#firstReturn()
      this.#cursor = this.#next[node]!
      return true
    }
  }

  #isNew(stateKey: string): boolean {
    const key = `${this.#knownSet.key()}${this.#unknownSet.key()}${stateKey}`
    if (this.#seen.has(key)) return false
    this.#seen.add(key)
    return true
  }

  #noteStuck(): void {
    const linearized = this.#known - this.#left
    if (linearized <= this.#stuck.linearized) return
    const candidates: number[] = []
    const count = this.#operations.length
    let node = this.#next[this.#knownHead]!
    for (; node < count && candidates.length < 4; node = this.#next[node]!) {
      candidates.push(this.#order[node]!)
    }
    this.#stuck = { linearized, known: this.#known, state: this.#stateKey, candidates }
  }

  #firstReturn(): number {
    const count = this.#operations.length
    let node = this.#next[this.#knownHead]!
    while (node < count) node = this.#next[node]!
    return this.#operation(node - count).return
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
    this.#remove(node)
    if (node >= this.#known) return
    this.#left--
    this.#remove(node + this.#operations.length)
  }

  #unlift(node: number): void {
    if (node < this.#known) {
      this.#left++
      this.#restore(node + this.#operations.length)
    }
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
    const known: number[] = []
    for (let node = 0; node < this.#known; node++) known.push(node, node + count)
    known.sort((a, b) => time(a) - time(b))
    const unknown: number[] = []
    for (let node = this.#known; node < count; node++) unknown.push(node)
    for (const [head, nodes] of [
      [this.#knownHead, known],
      [this.#unknownHead, unknown]
    ] as const) {
      let previous: number = head
      for (const node of nodes) {
        this.#next[previous] = node
        this.#previous[node] = previous
        previous = node
      }
      this.#next[previous] = head
      this.#previous[head] = previous
    }
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
