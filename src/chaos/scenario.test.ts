import { describe, expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import { parseConfig } from '../config/config.ts'
import { moveSteps, stepVictims } from '../table/move-steps.ts'
import { findScenario, parseScenario, shippedScenarios } from './scenario.ts'
import { nodesOf, parseTarget, setsOn } from './targets.ts'

const router = (set: string, replica: number) => ({ role: 'router' as const, set, replica })
const config = parseConfig({
  cluster: { name: 'test' },
  sets: [{ id: 's1' }, { id: 's2' }],
  nodes: ['s1', 's2'].flatMap((set, s) =>
    [1, 2, 3].map(replica => ({
      id: `${set}-${replica}`,
      zone: 'abc'[replica - 1]!,
      peerPort: 7_000 + s * 100 + replica,
      controlPort: 7_050 + s * 100 + replica,
      roles: [
        router(set, replica),
        ...(s === 0 ? [{ role: 'arbiter' as const, replica }] : []),
        ...(replica === 1
          ? [
              { role: 'transfer' as const, id: `${set}-t`, set, tcpPort: 7_090 + s * 100 },
              { role: 'logic' as const, id: `${set}-l`, set }
            ]
          : [])
      ]
    }))
  )
})
const leaders = new Map([
  ['s1', 's1-2'],
  ['arbiter', 's1-3']
])
const pick = (text: string, seed = 1, taken: readonly string[] = []): string[] =>
  nodesOf(parseTarget(text, config), config, leaders, new Prng(seed), id => !taken.includes(id))

describe('scenarios', () => {
  it('that come with the program are sound, named as their files, and say what they prove', () => {
    const all = shippedScenarios()
    expect(all.length).toBeGreaterThanOrEqual(9)
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
    for (const { name, faults } of all) {
      expect(findScenario(name).name).toBe(name)
      expect(faults.length).toBeGreaterThan(0)
    }
  })

  it.each([
    ['name: a\nproves: it does something\nfaults: [', /x\.yaml:3:\d+: /],
    ['name: a\nproves: it does something\nspeed: 3', /x\.yaml:1:1: .*speed/],
    ['name: a b\nproves: it does something', /x\.yaml:1:7: name: /],
    [
      'name: a\nproves: it does something\nseconds: 5\nfaults:\n  - { do: kill, target: everything, every: 5 }',
      /x\.yaml:3:10: seconds: ends before the first fault/
    ],
    [
      'name: a\nproves: it does something\nfaults:\n  - { do: melt, target: everything, at: 1 }',
      /x\.yaml:4:11: faults\.0\.do: /
    ],
    [
      'name: a\nproves: it does something\nfaults:\n  - { do: kill, target: everything }',
      /x\.yaml:4:\d+: faults\.0: needs `at`/
    ],
    [
      'name: a\nproves: it does something\nfaults:\n  - { do: kill, at: 1 }',
      /x\.yaml:4:\d+: faults\.0: needs a `target`/
    ],
    [
      'name: a\nproves: it does something\nfaults:\n  - { do: cut, at: 1 }',
      /faults\.0: needs a `target` .*or `from`/
    ],
    [
      'name: a\nproves: it does something\nfaults:\n  - { do: cut, target: zone a, to: zone b, at: 1 }',
      /faults\.0: `to` needs `from`/
    ],
    [
      'name: a\nproves: it does something\nfaults:\n  - { do: kill, target: zone a, from: zone b, at: 1 }',
      /faults\.0: `from` and `to` are for faults of links/
    ],
    [
      'name: a\nproves: it does something\nfaults:\n  - { do: killAtStep, step: seal, at: 1 }',
      /faults\.0: needs a `step` and a `victim`/
    ],
    ['[]', /x\.yaml:1:1: /],
    ['', /x\.yaml:1:1: /]
  ])('that are wrong are refused with file, line and rule: %j', (text, expected) => {
    expect(() => parseScenario(text, 'x.yaml')).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(expected) })
    )
  })

  it('kill each leader at each step of a move, once', () => {
    const { faults, expect: wanted } = findScenario('slot-move-step-kills')
    const combinations = moveSteps.flatMap(step => stepVictims.map(victim => `${step} ${victim}`))
    expect(faults.map(({ step, victim }) => `${step} ${victim}`)).toEqual(combinations)
    expect(faults.every(({ alone }) => alone)).toBe(true)
    expect(wanted).toMatchObject({ operations: 27, refusals: 0, errors: 0 })
  })

  it('that do not exist are answered with those that do', () => {
    expect(() => findScenario('leader-kil')).toThrow(/leader-kill/)
    expect(() => findScenario('./nowhere.yaml')).toThrow(/nowhere\.yaml: cannot be read \(ENOENT\)/)
  })
})

describe('targets', () => {
  it('name nodes', () => {
    expect(pick('everything')).toHaveLength(6)
    expect(pick('node s2-3')).toEqual(['s2-3'])
    expect(pick('leader of s1')).toEqual(['s1-2'])
    expect(pick('leader of arbiter')).toEqual(['s1-3'])
    expect(pick('leader of s2')).toEqual([])
    expect(pick('all of s2')).toEqual(['s2-1', 's2-2', 's2-3'])
    expect(pick('all of arbiter')).toEqual(['s1-1', 's1-2', 's1-3'])
    expect(pick('followers of s1')).toEqual(['s1-1', 's1-3'])
    expect(pick('followers of s2')).toEqual([])
    expect(pick('minority of s1')).toEqual(['s1-2'])
    expect(pick('majority of s1')).toEqual(['s1-1', 's1-3'])
    expect(pick('zone b')).toEqual(['s1-2', 's2-2'])
    expect(pick('clients')).toEqual([])
    expect(pick('transfer of s1')).toEqual(['s1-1'])
    expect(pick('logic of any', 3)[0]).toMatch(/^s[12]-1$/)
  })

  it('draw among those that fit', () => {
    const seeds = Array.from({ length: 60 }, (_, seed) => seed)
    const drawn = (text: string) => new Set(seeds.flatMap(seed => pick(text, seed)))
    expect([...drawn('follower of s1')].sort()).toEqual(['s1-1', 's1-3'])
    expect(drawn('router of any').size).toBe(6)
  })

  it('leave alone what is hit already, and draw among the rest', () => {
    expect(pick('leader of s1', 1, ['s1-2'])).toEqual([])
    expect(pick('all of s2', 1, ['s2-1'])).toEqual(['s2-2', 's2-3'])
    for (let seed = 0; seed < 20; seed++) {
      expect(pick('follower of s1', seed, ['s1-1'])).toEqual(['s1-3'])
    }
  })

  it('know whose users they touch', () => {
    expect(setsOn(['s1-2', 's2-1'], config)).toEqual(['s1', 's2'])
    expect(setsOn([], config)).toEqual([])
  })

  it.each(['leader', 'leader of s3', 'node x', 'zone x', 'king of s1', 'transfer of arbiter', ''])(
    'that mean nothing are refused: %j',
    text => {
      expect(() => parseTarget(text, config)).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID' })
      )
    }
  )
})
