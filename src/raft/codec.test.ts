import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RingsetError } from '../base/errors.ts'
import {
  decodeMembership,
  decodeRaftMessage,
  encodeMembership,
  encodeRaftMessage
} from './codec.ts'
import {
  type Entry,
  type EntryKind,
  type Membership,
  type RaftMessage,
  standings,
  verdicts
} from './types.ts'

const id = fc.integer({ min: 1, max: 255 })
const index = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 100 })
)
const data = fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes))
const flag = fc.boolean()
const addressed = { from: id, to: id, term: index }

const membership: fc.Arbitrary<Membership> = fc
  .tuple(
    fc.uniqueArray(id, { minLength: 1, maxLength: 9 }),
    fc.uniqueArray(id, { maxLength: 9 }),
    fc.uniqueArray(id, { maxLength: 9 })
  )
  .map(([voters, outgoing, learners]) => ({
    voters,
    outgoing,
    learners: learners.filter(learner => !voters.includes(learner))
  }))

const append = fc
  .record({
    ...addressed,
    prevIndex: index,
    prevTerm: index,
    commit: index,
    parts: fc.array(fc.tuple(fc.constantFrom<EntryKind>(0, 1, 2), fc.nat(3), data), {
      maxLength: 6
    })
  })
  .map(({ parts, ...rest }): RaftMessage => {
    let term = rest.prevTerm
    const entries = parts.map(([kind, step, bytes], at): Entry => {
      term += step
      return { index: rest.prevIndex + 1 + at, term, kind, data: bytes }
    })
    return { type: 'append', ...rest, term: Math.max(rest.term, term), entries }
  })

const message: fc.Arbitrary<RaftMessage> = fc.oneof(
  append,
  fc.record({
    type: fc.constantFrom('preVote' as const, 'vote' as const),
    ...addressed,
    lastIndex: index,
    lastTerm: index,
    force: flag,
    commit: index,
    commitTerm: index
  }),
  fc.record({
    type: fc.constantFrom('preVoteAnswer' as const, 'voteAnswer' as const),
    ...addressed,
    granted: flag,
    commit: index,
    commitTerm: index
  }),
  fc.record({
    type: fc.constant('appendAnswer' as const),
    ...addressed,
    rejected: flag,
    index,
    hintIndex: index,
    hintTerm: index,
    quarantined: flag
  }),
  fc.record({ type: fc.constant('heartbeat' as const), ...addressed, commit: index, round: index }),
  fc.record({
    type: fc.constant('heartbeatAnswer' as const),
    ...addressed,
    round: index,
    quarantined: flag,
    reluctant: flag
  }),
  fc.record({
    type: fc.constant('snapshot' as const),
    ...addressed,
    meta: fc.record({ index, term: index, membership }),
    snapshotId: index,
    chunk: index,
    last: flag,
    crc: fc.nat(0xffffffff),
    data
  }),
  fc.record({
    type: fc.constant('snapshotAnswer' as const),
    ...addressed,
    snapshotId: index,
    nextChunk: fc.integer({ min: -1, max: 1_000_000 }),
    installed: flag,
    index
  }),
  fc.record({ type: fc.constant('timeoutNow' as const), ...addressed }),
  fc.record({
    type: fc.constant('readIndex' as const),
    ...addressed,
    token: index,
    amnesiac: flag
  }),
  fc.record({ type: fc.constant('readIndexAnswer' as const), ...addressed, token: index, index }),
  fc.record({
    type: fc.constant('claim' as const),
    ...addressed,
    token: index,
    standing: fc.constantFrom(...standings),
    incarnation: index,
    lastIndex: index,
    lastTerm: index
  }),
  fc.record({
    type: fc.constant('claimAnswer' as const),
    ...addressed,
    token: index,
    verdict: fc.constantFrom(...verdicts),
    evidence: fc.record({ term: index, lastTerm: index, lastIndex: index }),
    standing: fc.constantFrom(...standings),
    incarnation: index,
    founders: fc.array(fc.record({ id, incarnation: index }), { maxLength: 9 })
  })
)

/** Anything but a clean answer or BAD_PACKET is a hole. */
function decodesOrRefuses(bytes: Buffer): boolean {
  try {
    decodeRaftMessage(bytes)
    return true
  } catch (error) {
    return error instanceof RingsetError && error.code === 'BAD_PACKET'
  }
}

describe('Raft codec', () => {
  it('gives back every message', () => {
    fc.assert(
      fc.property(message, sent => {
        expect(decodeRaftMessage(encodeRaftMessage(sent))).toEqual(sent)
      }),
      { numRuns: 5_000 }
    )
  })

  it('refuses garbage with BAD_PACKET', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), bytes => decodesOrRefuses(Buffer.from(bytes))),
      { numRuns: 20_000 }
    )
  })

  it('refuses or reads damaged messages, and never a shortened one', () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.nat(255), (sent, at, byte) => {
        const bytes = encodeRaftMessage(sent)
        expect(() => decodeRaftMessage(bytes.subarray(0, at % bytes.length))).toThrow(RingsetError)
        const damaged = Buffer.from(bytes)
        damaged[at % bytes.length] = byte
        return decodesOrRefuses(damaged)
      }),
      { numRuns: 10_000 }
    )
  })

  it('copies what outlives the input', () => {
    const entries = [{ index: 4, term: 2, kind: 0 as const, data: Buffer.from('kept') }]
    const bytes = encodeRaftMessage({
      type: 'append',
      from: 1,
      to: 2,
      term: 2,
      prevIndex: 3,
      prevTerm: 1,
      commit: 0,
      entries
    })
    const read = decodeRaftMessage(bytes)
    bytes.fill(0)
    expect(read.type === 'append' && read.entries[0]?.data.toString()).toBe('kept')
  })

  it('refuses a count of entries that the bytes cannot hold', () => {
    const bytes = encodeRaftMessage({
      type: 'append',
      from: 1,
      to: 2,
      term: 1,
      prevIndex: 0,
      prevTerm: 0,
      commit: 0,
      entries: []
    })
    const lie = Buffer.concat([bytes.subarray(0, -1), Buffer.from([0xff, 0xff, 0xff, 0x7f])])
    expect(() => decodeRaftMessage(lie)).toThrow('more entries than bytes')
  })

  it('gives back every membership and refuses unsound ones', () => {
    fc.assert(
      fc.property(membership, sent => {
        expect(decodeMembership(encodeMembership(sent))).toEqual(sent)
      })
    )
    const unsound: Membership[] = [
      { voters: [], outgoing: [], learners: [] },
      { voters: [1, 1], outgoing: [], learners: [] },
      { voters: [1, 2], outgoing: [], learners: [2] },
      { voters: [0], outgoing: [], learners: [] }
    ]
    for (const each of unsound) {
      expect(() => decodeMembership(encodeMembership(each))).toThrow(RingsetError)
    }
  })
})
