/** How many examples a check keeps, and how long one may be. */
export const examplesMax = 5
export const exampleLengthMax = 400

/** What one judge says. */
export interface Check<Name extends string = string> {
  readonly name: Name
  /** `unknown`: the history does not hold what it takes to decide, or the search was given up. */
  readonly ok: true | false | 'unknown'
  /** How many facts were looked at; 0 = the history says nothing about this. */
  readonly judged: number
  /** How many of them break the rule. */
  readonly violations: number
  readonly detail: string
  /**
   * At most `examplesMax`, each at most `exampleLengthMax` long, with line numbers counted from 1.
   */
  readonly examples: readonly string[]
}

/** Collects what one judge finds. */
export class Findings {
  judged = 0
  #bad = 0
  #undecided = 0
  readonly #badExamples: string[] = []
  readonly #undecidedExamples: string[] = []

  /** @param count how many violations the one text stands for. */
  bad(describe: () => string, count = 1): void {
    this.#bad += count
    keep(this.#badExamples, describe)
  }

  undecided(describe: () => string, count = 1): void {
    this.#undecided += count
    keep(this.#undecidedExamples, describe)
  }

  /** @param unit plural noun of what is counted. */
  check<Name extends string>(name: Name, unit: string): Check<Name> {
    const of = `of ${this.judged} ${unit}`
    const violations = this.#bad
    const { judged } = this
    if (violations > 0) {
      const detail = `${violations} violations ${of}`
      return { name, ok: false, judged, violations, detail, examples: this.#badExamples }
    }
    if (this.#undecided > 0) {
      const detail = `${this.#undecided} undecided ${of}`
      const examples = this.#undecidedExamples
      return { name, ok: 'unknown', judged, violations, detail, examples }
    }
    const detail = judged === 0 ? 'nothing recorded' : `${judged} ${unit}`
    return { name, ok: true, judged, violations, detail, examples: [] }
  }
}

/** Quotes what came from a history, so that it is bounded and printable. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text)
}

function keep(examples: string[], describe: () => string): void {
  if (examples.length >= examplesMax) return
  const text = describe()
  examples.push(text.length > exampleLengthMax ? `${text.slice(0, exampleLengthMax - 1)}…` : text)
}
