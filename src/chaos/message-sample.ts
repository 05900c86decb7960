/** One message: when it was due, and when what became of it was seen. Times by `performance.now`. */
export interface MessageSample {
  readonly session: string
  readonly sender: string
  readonly receiver: string
  /** The clientMsgId by which the history knows it. */
  readonly number: number
  readonly dueMs: number
  /** Where the sender lives. */
  readonly senderSet: string
  /** Where the conversation is homed. */
  readonly homeSet: string
  /** Where the receiver lives. */
  readonly receiverSet: string
  /** 0 = not yet. */
  ackedMs: number
  deliveredMs: number
}
