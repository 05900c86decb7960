import type { Probe } from '../src/roll/probe.ts'
import type { RollProgress } from '../src/roll/roll.ts'
import { drainProgressText } from './drain-progress.ts'
import { LiveView } from './live-view.ts'
import { durationText, grouped, note, paint } from './terminal.ts'

/** Shows how far a rolling restart is: a line for each node that is done; on a terminal also the present one, in place. */
export class RollView {
  readonly #view = process.stderr.isTTY ? new LiveView(process.stderr) : undefined
  #stopping = false
  #shown = ''

  show(
    progress: RollProgress,
    probe: Pick<Probe, 'acked' | 'waiting' | 'errors'> | undefined
  ): void {
    const { node, step, done, total, ms } = progress
    const place = `${step === 'done' ? done : done + 1}/${total} ${node}`
    if (step === 'done') {
      this.#view?.clear()
      note(`${place}: restarted in ${durationText(ms)}`)
      this.#shown = ''
      return
    }
    const text = `${place}: ${stepText(progress)}`
    if (this.#view === undefined) {
      const key = `${node} ${step}`
      if (key !== this.#shown) note(text)
      this.#shown = key
      return
    }
    const { acked = 0, waiting = 0, errors = 0 } = probe ?? {}
    this.#view.draw([
      text,
      paint(`probes: ${grouped(acked)} acked, ${waiting} under way, ${errors} errors`, 'dim'),
      paint(
        this.#stopping ? `stopping when ${node} is back` : 'Ctrl-C stops after this node',
        'dim'
      )
    ])
  }

  stopping(): void {
    this.#stopping = true
    if (this.#view === undefined) note('stopping when the present node is back')
  }

  judging(): void {
    this.#view?.draw(['judging what the probes have seen'])
  }

  end(): void {
    this.#view?.clear()
  }
}

function stepText({ step, drain, waitingFor }: RollProgress): string {
  switch (step) {
    case 'drain':
      return drain === undefined ? 'draining' : `draining, ${drainProgressText(drain)}`
    case 'stop':
      return 'handing over and stopping'
    case 'start':
      return 'starting'
    default:
      return `waiting until it is level${waitingFor === undefined ? '' : `: ${waitingFor}`}`
  }
}
