import type { RaftMessage } from './types.ts'

/** More are lost, as any message may be. */
const heldMax = 256

/** Holds back what a replica says while something that it rests on is on its way to the disk. */
export class MessageGate {
  readonly #send: (message: RaftMessage) => void
  #closed = false
  #held: RaftMessage[] = []

  constructor(send: (message: RaftMessage) => void) {
    this.#send = send
  }

  send(message: RaftMessage): void {
    if (!this.#closed) this.#send(message)
    else if (this.#held.length < heldMax) this.#held.push(message)
  }

  close(): void {
    this.#closed = true
  }

  open(): void {
    this.#closed = false
    const held = this.#held
    this.#held = []
    for (const message of held) this.#send(message)
  }
}
