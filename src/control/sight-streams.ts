import type { ServerWritableStream } from '@grpc/grpc-js'
import { RingsetError } from '../base/errors.ts'
import type { WatchRequest } from '../gen/ringset/control/v1/control.ts'
import type { ControlSource, NodeSight } from './control-source.ts'

const leastEveryMs = 10
const mostEveryMs = 60_000
const watchersMax = 32

/** Those who watch this node: each gets a sight of it at its own pace, and misses some while it does not read. */
export class SightStreams {
  readonly #source: ControlSource
  readonly #ends = new Set<() => void>()

  constructor(source: ControlSource) {
    this.#source = source
  }

  /** USAGE, OVERLOADED. */
  open(call: ServerWritableStream<WatchRequest, NodeSight>): void {
    const { everyMs } = call.request
    if (everyMs < leastEveryMs || everyMs > mostEveryMs) {
      throw new RingsetError('USAGE', `sights come every ${leastEveryMs} to ${mostEveryMs} ms`)
    }
    if (this.#ends.size >= watchersMax) {
      throw new RingsetError('OVERLOADED', `${watchersMax} watch this node already`)
    }
    const show = (): void => {
      if (!call.writableNeedDrain) call.write(this.#source.sight())
    }
    const timer = setInterval(show, everyMs)
    const forget = (): void => {
      clearInterval(timer)
      this.#ends.delete(end)
    }
    const end = (): void => {
      forget()
      call.end()
    }
    this.#ends.add(end)
    call.once('cancelled', forget)
    call.once('error', forget)
    show()
  }

  /** Ends all of them. */
  close(): void {
    for (const end of this.#ends) end()
  }
}
