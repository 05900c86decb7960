import { describe, expect, it } from 'vitest'
import { ReplicaGroup } from '../../test/support/replica-group.ts'
import { encodeRaftMessage } from './codec.ts'

describe('a follower whose log the leader does not know', () => {
  it('gets one append with entries, and costs little however many heartbeats it answers meanwhile', () => {
    const group = new ReplicaGroup()
    const leader = group.leader()
    const { id } = group.follower()
    group.pass(1_000)
    group.crash(id)
    for (let i = 0; i < 20; i++) group.write([`${i}`.padEnd(16 * 1024, '.')])
    group.start(id)
    let sentBytes = 0
    let appends = 0
    // From the first entries on no append comes through, as on a slow link, which heartbeats overtake.
    group.lose = message => {
      if (message.type !== 'append' || message.to !== id) return false
      if (appends === 0 && message.entries.length < 2) return false
      sentBytes += encodeRaftMessage(message).length
      appends++
      return true
    }
    for (let i = 0; i < 100; i++) {
      leader.replica!.read(() => {})
      group.pass(10)
    }
    expect(appends).toBeGreaterThan(10)
    expect(sentBytes).toBeLessThan(80 * 1024)
    group.heal()
    group.passUntil(
      () => group.replica(id).status().applied === leader.replica!.status().applied,
      500
    )
  })
})
