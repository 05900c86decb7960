import { describe, expect, it } from 'vitest'
import { at, red, seen, undecided } from '../../test/support/history-lines.ts'
import { judge } from './check.ts'

describe('who is expected to receive', () => {
  const acked = (session: string, msgid: number, process = 'a') => [
    {
      ...seen('send', { uid: 'a', deviceId: 'd', clientMsgId: msgid }, process),
      type: 'invoke',
      key: session
    } as const,
    { ...seen('send', { msgid, duplicate: false }, process), key: session }
  ]
  const receive = (session: string, msgid: number, device: string, uid?: string) =>
    seen('receive', { uid, device, session, msgid, clientMsgId: msgid, sender: 'a' }, device)
  const member = (session: string, uid: string, device: string, more = {}) =>
    seen('member', { session, uid, device, ...more })
  const p2p = 'p2p/a/b%2Fc'

  it('without declarations: every device seen with one of the two users', () => {
    const all = [receive(p2p, 1, 'd', 'a'), receive(p2p, 1, 'e', 'b/c')]
    expect(red(judge(at(...acked(p2p, 1), ...all)))).toEqual([])
    expect(red(judge(at(...acked(p2p, 1), all[0]!)))).toEqual([])
    expect(red(judge(at(...acked(p2p, 1), all[1]!)))).toEqual(['loss'])
    const elsewhere = receive('p2p/b%2Fc/z', 9, 'f', 'b/c')
    expect(red(judge(at(...acked(p2p, 1), ...all, elsewhere), { without: ['phantoms'] }))).toEqual([
      'loss'
    ])
  })

  it('with declarations: exactly the declared devices, in their range', () => {
    const group = 'group/7'
    const two = [...acked(group, 1), ...acked(group, 2)]
    const e = member(group, 'b', 'e')
    const judged = (...lines: ReturnType<typeof seen>[]) => red(judge(at(e, ...two, ...lines)))
    expect(judged(receive(group, 1, 'e'), receive(group, 2, 'e'))).toEqual([])
    expect(judged(receive(group, 1, 'e'))).toEqual(['loss'])
    expect(
      red(judge(at(member(group, 'b', 'e', { from: 2 }), ...two, receive(group, 2, 'e'))))
    ).toEqual([])
    expect(
      red(judge(at(member(group, 'b', 'e', { until: 1 }), ...two, receive(group, 1, 'e'))))
    ).toEqual([])
    expect(red(judge(at(member(group, 'b', 'e', { until: 1 }), ...two)))).toEqual(['loss'])
  })

  it('unknown when deliveries are not recorded, or nobody is known to expect them', () => {
    expect(undecided(judge(at(...acked(p2p, 1))))).toEqual(['loss'])
    const other = member(p2p, 'a', 'd')
    expect(undecided(judge(at(other, ...acked('group/7', 1))))).toEqual(['loss'])
  })

  it('tells the user of a device by its name only if that is clear', () => {
    const session = 'group/7'
    const members = [member(session, 'b', 'e'), member(session, 'c', 'e')]
    const lines = [...acked(session, 1), receive(session, 1, 'e')]
    expect(() => judge(at(...lines))).toThrow(/line 3/)
    expect(() => judge(at(...members, ...lines))).toThrow(/line 5/)
    expect(red(judge(at(members[0]!, ...lines)))).toEqual([])
  })

  it('tells devices of one name apart by their users', () => {
    const both = [receive(p2p, 1, 'd', 'a'), receive(p2p, 1, 'd', 'b/c')]
    expect(red(judge(at(...acked(p2p, 1), ...both)))).toEqual([])
  })
})

describe('a history that breaks the format', () => {
  const send = {
    ...seen('send', { uid: 'a', deviceId: 'd', clientMsgId: 1 }),
    type: 'invoke',
    key: 's'
  } as const
  const done = { ...seen('send', { msgid: 1, duplicate: false }), key: 's' }
  const invalid = (line: number) =>
    expect.objectContaining({ code: 'HISTORY_INVALID', facts: { line } })

  it.each([
    ['two operations of one process at a time', [send, send]],
    ['an end without an invocation', [send, done, done]],
    ['an end of another operation', [send, { ...done, f: 'latest' }]],
    ['an end on another key', [send, { ...done, key: 't' }]],
    ['an operation without a key', [seen('epoch', { epoch: 1 }), seen('latest', null)]],
    [
      'an observation that is not ok',
      [send, { ...seen('epoch', { epoch: 1 }), type: 'info' as const }]
    ],
    ['a result that is no object', [send, { ...done, value: 7 }]],
    ['a result without msgid', [send, { ...done, value: { duplicate: false } }]],
    ['a msgid of 0', [send, { ...done, value: { msgid: 0, duplicate: false } }]],
    ['a duplicate that is no boolean', [send, { ...done, value: { msgid: 1, duplicate: 'no' } }]],
    [
      'a list that is none',
      [
        { ...send, f: 'lookup' },
        { ...done, f: 'lookup', value: { routes: 1 } }
      ]
    ],
    [
      'a null route',
      [
        { ...send, f: 'lookup' },
        { ...done, f: 'lookup', value: { routes: [null] } }
      ]
    ],
    [
      'a number that overflows',
      [
        { ...send, f: 'sequence.next' },
        { ...done, f: 'sequence.next', value: { first: Number.MAX_SAFE_INTEGER, count: 2 } }
      ]
    ],
    ['a slot as text', [send, seen('owner', { slot: '3', set: 'a', epoch: 1 })]],
    ['a from of 0', [send, seen('member', { session: 's', uid: 'a', device: 'd', from: 0 })]]
  ] as const)('is refused with the line: %s', (_, lines) => {
    expect(() => judge(at(...(lines as unknown as Parameters<typeof at>)))).toThrow(
      invalid(lines.length)
    )
  })

  it('is refused when time goes back', () => {
    const lines = at(send, done)
    expect(() => judge([{ ...lines[0]!, time: 9 }, lines[1]!])).toThrow(invalid(2))
  })
})
