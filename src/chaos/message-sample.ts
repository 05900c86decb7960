/** Between whom a message goes, and where they and it lived when it was due. */
export interface MessagePath {
  readonly session: string
  readonly sender: string
  readonly receiver: string
  /** Where the sender lives. */
  readonly senderSet: string
  /** Where the conversation is homed. */
  readonly homeSet: string
  /** Where the receiver lives. */
  readonly receiverSet: string
}

/** One message: when it was due, and when what became of it was seen. Times by `performance.now`. */
export interface MessageSample extends MessagePath {
  /** The clientMsgId by which the history knows it. */
  readonly number: number
  readonly dueMs: number
  /** 0 = not yet. */
  ackedMs: number
  deliveredMs: number
}
