import type { Readiness } from '../src/launch/readiness.ts'
import { LiveView } from './live-view.ts'
import { note } from './terminal.ts'

const barWidth = 30

/** Shows how far the start of a cluster is: a bar on a terminal, else a line whenever it got further. */
export class StartProgress {
  readonly #view = process.stderr.isTTY ? new LiveView(process.stderr) : undefined
  #lastDone = -1

  show({ done, total, waitingFor }: Readiness): void {
    const waiting = waitingFor.length === 0 ? '' : `, waiting until ${waitingFor[0]}`
    if (this.#view !== undefined) {
      const filled = Math.round((barWidth * done) / total)
      const bar = '█'.repeat(filled) + '░'.repeat(barWidth - filled)
      this.#view.draw([`${bar} ${done}/${total}${waiting}`])
    } else if (done !== this.#lastDone) note(`${done}/${total} ready${waiting}`)
    this.#lastDone = done
  }

  end(): void {
    this.#view?.clear()
  }
}
