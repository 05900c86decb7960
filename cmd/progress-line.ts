import { LiveView } from './live-view.ts'
import { note } from './terminal.ts'

const everyMs = 1_000

/** Shows how far something is: in place on a terminal, else a line a second. */
export class ProgressLine {
  readonly #view = process.stderr.isTTY ? new LiveView(process.stderr) : undefined
  readonly #hint: string
  #shown = ''
  #shownMs = Number.NEGATIVE_INFINITY

  /** @param hint what a key does, for who sits at a terminal. */
  constructor(hint: string) {
    this.#hint = hint
  }

  show(text: string): void {
    const nowMs = performance.now()
    if (this.#view !== undefined) this.#view.draw([`${text} (${this.#hint})`])
    else if (text !== this.#shown && nowMs - this.#shownMs >= everyMs) {
      note(text)
      this.#shown = text
      this.#shownMs = nowMs
    }
  }

  end(): void {
    this.#view?.clear()
  }
}
