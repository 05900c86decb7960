import { describe, expect, it } from 'vitest'
import { codeOf } from '../../test/support/codes.ts'
import { route } from '../../test/support/router-entries.ts'
import { oneSetTable, twoSetTable, uidsOf } from '../../test/support/router-table.ts'
import { RouterWorld } from '../../test/support/router-world.ts'
import type { Packet } from '../protocol/packet.ts'
import { p2pSession } from '../protocol/session.ts'

const leader = 'router/s1/1'

describe('a router whose disk is nearly full', () => {
  it('refuses messages, but not what users come and go and read by', () => {
    let low = false
    const world = new RouterWorld(oneSetTable(), ['s1'], {
      diskLow: (_set, id) => low && id === 1
    })
    const session = p2pSession('ann', 'bob')
    expect(codeOf(world.append(leader, 'ann', 'bob', 1))).toBe('OK')
    low = true
    const refused = world.append(leader, 'ann', 'bob', 2)
    expect(codeOf(refused)).toBe('DISK_NEARLY_FULL')
    expect(refused.payload).toMatchObject({ retryAfterMs: 200 })
    expect(codeOf(world.register(leader, 'ann', route({ connId: 1, connSeq: 1 })))).toBe('OK')
    const read = { uid: 'ann', session, from: 1, limit: 10 }
    expect(world.ask(leader, 'HISTORY_READ', read, world.routedBy('ann')).payload).toMatchObject({
      messages: [{ msgid: 1 }]
    })
    world.lead('s1', 2)
    expect(codeOf(world.append('router/s1/2', 'ann', 'bob', 2))).toBe('OK')
    world.lead('s1', 1)
    low = false
    expect(codeOf(world.append(leader, 'ann', 'bob', 3))).toBe('OK')
  })

  it('lets copies from other sets wait where they are, until there is room', () => {
    let low = true
    const table = twoSetTable()
    const world = new RouterWorld(table, ['s1', 's2'], { diskLow: set => low && set === 's2' })
    const [ann, bob] = uidsOf(table, 's1', 40)
      .flatMap(a => uidsOf(table, 's2', 40).map(b => [a, b] as const))
      .find(([a, b]) => table.owner(world.sessionHeader(a, b).slot!)?.setId === 's1')!
    const read = { uid: bob, session: p2pSession(ann, bob), from: 1, limit: 10 }
    const copies = (): number => {
      const answer = world.ask('router/s2/1', 'HISTORY_READ', read, world.routedBy(bob))
      return (answer as Packet<'HISTORY_READ_OK'>).payload.messages.length
    }
    expect(codeOf(world.append(leader, ann, bob, 1))).toBe('OK')
    world.pass(3_000)
    expect(copies()).toBe(0)
    low = false
    world.pass(3_000)
    expect(copies()).toBe(1)
  })
})
