import type { Message } from './kinds.ts'

/**
 * Where a set was lost and its slots were recovered from one replica (docs/slot-moves.md), nobody knows which messages of a session were
 * acknowledged beyond what that replica holds. So the session goes on in a new *era*: at a later multiple of this number, with a message
 * that says where the old era ended. Within an era msgids count without a gap, and no session has so many messages.
 */
export const eraMessages = 2 ** 32

/** `type` of the message that a new era begins with; its `from` is empty, as nobody's can be. */
export const breakType = 3

/** The first msgid of the era behind the one that `msgid` is in. */
export function nextEra(msgid: number): number {
  return (Math.floor(msgid / eraMessages) + 1) * eraMessages
}

/**
 * The message that an era of a session begins with.
 * @param era how often the session's slot was recovered.
 * @param after newest message before it that was found. Others may have been acknowledged, and seen, behind that one.
 */
export function breakMessage(era: number, after: number, atMs: number): Message {
  return {
    msgid: Math.max(era * eraMessages, nextEra(after)),
    from: '',
    deviceId: '',
    clientMsgId: 0,
    type: breakType,
    atMs,
    body: Buffer.from(`${after}`)
  }
}

export function isBreak({ msgid, from, type }: Message): boolean {
  return type === breakType && from === '' && msgid % eraMessages === 0
}

/** Whether who has everything up to `cursor` misses nothing before `message`. */
export function isNext(message: Message, cursor: number): boolean {
  if (message.msgid === cursor + 1) return true
  return message.msgid > cursor && isBreak(message) && cursor >= Number(message.body)
}
