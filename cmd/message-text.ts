import type { ImMessage } from '../src/client/im-types.ts'
import { breakType, isBreak } from '../src/protocol/eras.ts'
import { clean, paint } from './terminal.ts'

const textType = 0

/** For programs: `body` is text; bytes that are not are base64 in `bodyBase64` instead. */
export function messageJson(message: ImMessage) {
  const { session, msgid, from, deviceId, clientMsgId, type, body, atMs } = message
  const content =
    type === textType || type === breakType
      ? { body: body.toString('utf8') }
      : { bodyBase64: body.toString('base64') }
  return {
    session,
    msgid,
    from,
    deviceId,
    clientMsgId,
    type,
    ...content,
    at: new Date(atMs).toISOString()
  }
}

/** For people: `12:03:04 #7 ann: hello`. */
export function messageLine(message: ImMessage): string {
  const { msgid, from, type, body, atMs } = message
  const time = new Date(atMs).toTimeString().slice(0, 8)
  if (isBreak(message)) {
    return `${paint(time, 'dim')} #${msgid} ${paint(`messages after #${clean(body.toString('utf8'))} may have been lost with their set`, 'yellow')}`
  }
  const text =
    type === textType ? clean(body.toString('utf8')) : `(${body.length} bytes of type ${type})`
  return `${paint(time, 'dim')} #${msgid} ${paint(clean(from), 'cyan')}: ${text}`
}
