import { cutLine } from './cut-line.ts'

/** Redraws a few lines in place on a terminal, without taking the screen: what was printed before stays readable. */
export class LiveView {
  readonly #stream: NodeJS.WriteStream
  #height = 0

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  draw(lines: readonly string[]): void {
    // A terminal that does not know its size says 0.
    const columns = this.#stream.columns || 80
    const rows = this.#stream.rows || 24
    const shown = lines.slice(0, Math.max(1, rows - 1)).map(line => cutLine(line, columns))
    const up = this.#height === 0 ? '' : `\u001b[${this.#height}A`
    this.#stream.write(`${up}\r\u001b[J${shown.join('\n')}\n`)
    this.#height = shown.length
  }

  /** Removes what was drawn. */
  clear(): void {
    if (this.#height > 0) this.#stream.write(`\u001b[${this.#height}A\r\u001b[J`)
    this.#height = 0
  }
}
