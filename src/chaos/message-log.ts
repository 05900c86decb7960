import type { MessagePath, MessageSample } from './message-sample.ts'

interface Piece {
  readonly dueMs: Float64Array
  readonly ackedMs: Float64Array
  readonly deliveredMs: Float64Array
  readonly number: Float64Array
  readonly path: Uint32Array
}

const rowsInPiece = 8_192

/** The number of a message by its text; of a text that was none of ours, one that nobody has sent. */
export function numberIn(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.MAX_SAFE_INTEGER
}

/**
 * What became of each message of a run. It is kept in columns, not as an object for each: a collector that has to look at millions of
 * them stops this process again and again, and what it measures waits meanwhile.
 */
export class MessageLog {
  readonly #pieces: Piece[] = []
  readonly #paths: MessagePath[] = []
  readonly #indexes = new Map<MessagePath, number>()
  #count = 0

  get count(): number {
    return this.#count
  }

  /**
   * A message that is due, or was.
   * @param path the same object for all messages that go the same way.
   * @param number the clientMsgId by which the history knows it.
   * @returns its row, for what is seen of it later.
   */
  add(path: MessagePath, number: number, dueMs: number): number {
    const row = this.#count++
    const at = row % rowsInPiece
    if (at === 0) this.#pieces.push(emptyPiece())
    const piece = this.#pieceOf(row)
    piece.path[at] = this.#indexOf(path)
    piece.number[at] = number
    piece.dueMs[at] = dueMs
    return row
  }

  acked(row: number, atMs: number): void {
    this.#pieceOf(row).ackedMs[row % rowsInPiece] = atMs
  }

  delivered(row: number, atMs: number): void {
    this.#pieceOf(row).deliveredMs[row % rowsInPiece] = atMs
  }

  /** All of them as they came, made anew by each call. */
  samples(): MessageSample[] {
    const samples: MessageSample[] = []
    for (let row = 0; row < this.#count; row++) samples.push(this.#sampleOf(row))
    return samples
  }

  /** Field by field: a spread of the path takes four times the memory, and with millions some thirty times the time. */
  #sampleOf(row: number): MessageSample {
    const piece = this.#pieceOf(row)
    const at = row % rowsInPiece
    const path = this.#paths[piece.path[at]!]!
    return {
      session: path.session,
      sender: path.sender,
      receiver: path.receiver,
      senderSet: path.senderSet,
      homeSet: path.homeSet,
      receiverSet: path.receiverSet,
      number: piece.number[at]!,
      dueMs: piece.dueMs[at]!,
      ackedMs: piece.ackedMs[at]!,
      deliveredMs: piece.deliveredMs[at]!
    }
  }

  #pieceOf(row: number): Piece {
    return this.#pieces[Math.floor(row / rowsInPiece)]!
  }

  #indexOf(path: MessagePath): number {
    const known = this.#indexes.get(path)
    if (known !== undefined) return known
    const index = this.#paths.push(path) - 1
    this.#indexes.set(path, index)
    return index
  }
}

function emptyPiece(): Piece {
  return {
    dueMs: new Float64Array(rowsInPiece),
    ackedMs: new Float64Array(rowsInPiece),
    deliveredMs: new Float64Array(rowsInPiece),
    number: new Float64Array(rowsInPiece),
    path: new Uint32Array(rowsInPiece)
  }
}
