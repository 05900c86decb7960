import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { imTable } from '../../test/support/fake-im-table.ts'
import { FakeRoleEnv } from '../../test/support/fake-role-env.ts'
import { compileTable } from '../table/compile-table.ts'
import type { GreyRule, ProcessEntry } from '../table/table.ts'
import { LogicPicker } from './logic-picker.ts'

const users = Array.from({ length: 2_000 }, (_, i) => `user-${i}`)
const rule = (version: string, change: Partial<GreyRule> = {}): GreyRule => {
  return { version, percent: 0, uids: [], prefixes: [], ...change }
}

/** A gateway of set s1 on node `n9`, beside none of the logics. */
class Bench {
  readonly env = new FakeRoleEnv('transfer/t1')
  readonly picker: LogicPicker
  #epoch = 1

  constructor(versions: Readonly<Record<string, string>>, nodeId = 'n9') {
    this.env.view = () => this.view
    this.set(versions, [])
    this.picker = new LogicPicker(this.env, 's1', nodeId)
  }

  view = imTable(1)

  set(versions: Readonly<Record<string, string>>, grey: readonly GreyRule[], down = ''): void {
    const { table } = imTable(++this.#epoch)
    const [plain] = table!.sets[0]!.logics
    const logics = Object.entries(versions).map(([id, version], i): ProcessEntry => {
      const state = id === down ? 'down' : 'up'
      return { ...plain!, id, version, nodeId: `n${i + 1}`, state }
    })
    const sets = table!.sets.map((set, i) => (i === 0 ? { ...set, logics } : set))
    this.view = compileTable({ ...table!, sets, grey })
    this.picker?.onTable()
  }

  /** Which logic gets how many of the picks. */
  picks(of: readonly string[]): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const uid of of) {
      const to = this.picker.pick(uid, '')!.slice('logic/'.length)
      counts[to] = (counts[to] ?? 0) + 1
    }
    return counts
  }
}

const versions = { a: '1', b: '1', c: '2', d: '2' }

describe('choosing a logic', () => {
  const evenly = (counts: Record<string, number>, among: readonly string[]): void => {
    const sum = among.reduce((all, id) => all + (counts[id] ?? 0), 0)
    const share = 1 / among.length
    const spread = 6 * Math.sqrt(share * (1 - share) * sum) + 1
    for (const id of among) {
      expect(Math.abs((counts[id] ?? 0) - share * sum)).toBeLessThanOrEqual(spread)
    }
  }

  it('takes them evenly while there is no rule, whatever their versions, and for a user always the same', () => {
    const bench = new Bench(versions)
    evenly(bench.picks(users), ['a', 'b', 'c', 'd'])
    const chosen = () => users.map(uid => bench.picker.pick(uid, ''))
    const before = chosen()
    expect(chosen()).toEqual(before)
    const { d, ...others } = versions
    expect(d).toBe('2')
    bench.set(others, [])
    const after = chosen()
    expect(after.filter((to, i) => to !== before[i] && before[i] !== 'logic/d')).toEqual([])
    evenly(bench.picks(users), ['a', 'b', 'c'])
  })

  it('sends the share that a rule says to its version, always the same users, evenly', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100 }), percent => {
        const bench = new Bench(versions)
        bench.set(versions, [rule('2', { percent })])
        const isNew = (uid: string) => ['logic/c', 'logic/d'].includes(bench.picker.pick(uid, '')!)
        const taken = users.filter(isNew)
        const p = percent / 100
        const spread = 6 * Math.sqrt(p * (1 - p) * users.length) + 1
        expect(Math.abs(taken.length - p * users.length)).toBeLessThanOrEqual(spread)
        expect(users.filter(isNew)).toEqual(taken)
        const counts = bench.picks(users)
        evenly(counts, ['a', 'b'])
        evenly(counts, ['c', 'd'])
        bench.set(versions, [])
        evenly(bench.picks(users), ['a', 'b', 'c', 'd'])
      }),
      { numRuns: 15 }
    )
  })

  it('keeps users whom no rule names away from a version that a rule names', () => {
    const bench = new Bench(versions)
    bench.set(versions, [rule('2', { uids: ['user-7'], prefixes: ['user-199'] })])
    const named = users.filter(uid => uid === 'user-7' || uid.startsWith('user-199'))
    const others = users.filter(uid => !named.includes(uid))
    expect(Object.keys(bench.picks(named)).sort()).toEqual(['c', 'd'])
    expect(Object.keys(bench.picks(others)).sort()).toEqual(['a', 'b'])
  })

  it('prefers the wanted version on another node to the logic in its own process', () => {
    const bench = new Bench(versions, 'n1')
    bench.set(versions, [rule('2', { uids: ['ann'] })])
    expect(bench.picks(['bob', 'bob', 'bob'])).toEqual({ a: 3 })
    expect(Object.keys(bench.picks(['ann', 'ann']))).toHaveLength(1)
    expect(['logic/c', 'logic/d']).toContain(bench.picker.pick('ann', ''))
  })

  it('takes any other when none of the version is up, is there, or answers', () => {
    const bench = new Bench(versions)
    const few = { a: '1', c: '2' }
    const rules = [rule('2', { uids: ['ann'] })]
    bench.set(few, rules)
    const isStandIn = () => bench.picker.isStandIn('ann', bench.picker.pick('ann', '')!)
    expect(isStandIn()).toBe(false)
    bench.set(few, rules, 'c')
    expect(isStandIn()).toBe(true)
    bench.set(few, rules)
    expect(isStandIn()).toBe(false)
    bench.picker.failed('logic/c')
    expect(isStandIn()).toBe(true)
    bench.picker.answered('logic/c')
    expect(isStandIn()).toBe(false)
    bench.picker.failed('logic/c')
    bench.picker.onPeer('logic/c', true)
    expect(isStandIn()).toBe(false)
    bench.picker.onPeer('logic/c', false)
    expect(isStandIn()).toBe(true)
    bench.picker.onPeer('logic/c', true)
    expect(isStandIn()).toBe(false)
    bench.set(few, [rule('1'), rule('2')])
    expect(isStandIn()).toBe(true)
    bench.set({}, rules)
    expect(bench.picker.pick('ann', '')).toBeUndefined()
  })

  it('does not leave the version for a refusal, but goes to another logic of it', () => {
    const bench = new Bench(versions)
    bench.set(versions, [rule('2', { uids: ['ann'] })])
    const pick = (avoid: string) => bench.picker.pick('ann', avoid)
    expect([pick('logic/c'), pick('logic/c'), pick('logic/d')]).toEqual([
      'logic/d',
      'logic/d',
      'logic/c'
    ])
    bench.set({ a: '1', c: '2' }, [rule('2', { uids: ['ann'] })])
    expect(pick('logic/c')).toBe('logic/c')
  })
})
