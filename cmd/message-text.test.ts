import { describe, expect, it } from 'vitest'
import { ImMessage } from '../src/client/im-types.ts'
import { breakMessage } from '../src/protocol/eras.ts'
import { messageJson, messageLine } from './message-text.ts'

describe('messages', () => {
  it('are printed for people and programs', () => {
    const message = {
      msgid: 7,
      from: 'ann',
      deviceId: 'd',
      clientMsgId: 3,
      type: 0,
      atMs: 0,
      body: Buffer.from('hi\u001b[2J')
    }
    expect(messageLine(new ImMessage('p2p/ann/bob', message))).toMatch(/#7 ann: hi \[2J$/)
    expect(messageJson(new ImMessage('p2p/ann/bob', message))).toMatchObject({
      session: 'p2p/ann/bob',
      msgid: 7,
      body: 'hi\u001b[2J',
      at: '1970-01-01T00:00:00.000Z'
    })
    const bytes = messageJson(new ImMessage('s', { ...message, type: 1, body: Buffer.from([255]) }))
    expect(bytes).toMatchObject({ type: 1, bodyBase64: '/w==' })
    expect(bytes).not.toHaveProperty('body')
  })

  it('are told from breaks', () => {
    const gap = new ImMessage('p2p/ann/bob', breakMessage(1, 7, 0))
    expect(messageLine(gap)).toMatch(/#4294967296 messages after #7 may have been lost/)
    const forged = new ImMessage('p2p/ann/bob', { ...breakMessage(1, 7, 0), from: 'ann' })
    expect(messageLine(forged)).toMatch(/ann: \(1 bytes of type 3\)$/)
    expect(messageJson(gap)).toMatchObject({ type: 3, from: '', body: '7' })
  })
})
