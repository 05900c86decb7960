import { ByteWriter } from '../base/bytes.ts'
import { errorCodes } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import type { Prng } from '../base/prng.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import { decodeFrame, encodeFrame } from '../protocol/frame.ts'
import { answer, type Packet } from '../protocol/packet.ts'
import { SimFailure } from './invariants.ts'
import type { SimProcess } from './sim-process.ts'

/** Nobody has a name for it yet. */
const unknownKind = 250
const kindOffset = 5
/** Share of packets that are followed by one of an unknown kind. */
const share = 0.02
const roundTripMs = 5

/** What a process of a later version says besides: packets of a kind that nobody here knows, which are answered with an error. */
export class LaterVersion {
  readonly #process: SimProcess
  readonly #random: Prng
  readonly #writer = new ByteWriter(4_096)

  constructor(process: SimProcess, random: Prng) {
    this.#process = process
    this.#random = random
  }

  /** A packet was sent; perhaps another follows. */
  sent(from: EndpointId, to: EndpointId, like: Packet): void {
    if (this.#random.float() >= share) return
    const strange = { ...like, sequence: this.#random.id48() } as Packet
    this.#judgeRefusal(strange)
    const process = this.#process
    process.world.marks.hit('packet of an unknown kind refused')
    const code = errorCodes.UNKNOWN_KIND.number
    const payload = { code, text: '', retryAfterMs: 0, hint: undefined }
    process.after(roundTripMs, () => process.packet(from, to, answer(strange, 'ERROR', payload)))
  }

  /** Whoever gets it can tell which packet it is, and reads on behind it. */
  #judgeRefusal(strange: Packet): void {
    const writer = this.#writer
    writer.reset()
    encodeFrame(writer, strange, 0, 0, 0, strange.epoch, undefined)
    const bytes = writer.copy()
    bytes[kindOffset] = unknownKind
    try {
      decodeFrame(bytes, 0, bytes.length)
    } catch (error) {
      const refused = error instanceof RingsetError && error.code === 'UNKNOWN_KIND'
      if (refused && error.facts.sequence === strange.sequence) return
    }
    throw new SimFailure(
      'versions',
      `a packet of kind ${unknownKind} is not refused as it should be`
    )
  }
}
