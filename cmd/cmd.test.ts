import { CommanderError } from 'commander'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { RingsetError } from '../src/base/errors.ts'
import type { ClusterStatus } from '../src/control/cluster-status.ts'
import { fail, ok, warn } from '../src/doctor/finding.ts'
import { StatusResponse } from '../src/gen/ringset/control/v1/control.ts'
import type { RoutingTable } from '../src/table/table.ts'
import { clusterEvents } from './cluster-events.ts'
import { findingLines } from './commands/doctor.ts'
import { cutLine } from './cut-line.ts'
import { reportFailure } from './failure.ts'
import { pictureOf } from './rates.ts'
import { statusLines } from './status-lines.ts'
import { tableChanges } from './table-changes.ts'
import { bytesText, clean, durationText, tableLines } from './terminal.ts'
import { topJson, topLine } from './top-lines.ts'

afterEach(() => vi.restoreAllMocks())

function failed(error: unknown, json = false): { exitCode: number; text: string } {
  let text = ''
  vi.spyOn(process.stderr, 'write').mockImplementation(chunk => {
    text += chunk
    return true
  })
  return { exitCode: reportFailure(error, json), text }
}

describe('failures', () => {
  it('are one line with code and remedy, and an exit code by kind', () => {
    const { exitCode, text } = failed(new RingsetError('NOT_LEADER', 'replica 2 follows'))
    expect(exitCode).toBe(1)
    expect(text).toBe('error NOT_LEADER: replica 2 follows. The reply names the leader; ask it.\n')
    expect(failed(new RingsetError('UNREACHABLE')).exitCode).toBe(3)
    expect(failed(new RingsetError('TIMEOUT')).exitCode).toBe(3)
    expect(failed(new RingsetError('USAGE')).exitCode).toBe(2)
    expect(failed(new CommanderError(1, 'commander.unknownOption', 'error: no')).text).toMatch(
      /^error USAGE: no\./
    )
    expect(failed(new CommanderError(0, 'commander.helpDisplayed', '')).exitCode).toBe(0)
  })

  it('never show a stack, not even of a bug, nor steer the terminal', () => {
    const { exitCode, text } = failed(new TypeError('x is not\na function'))
    expect([exitCode, text.split('\n')[0]]).toEqual([
      1,
      expect.stringMatching(/^error INTERNAL: x is not\./)
    ])
    expect(text).not.toContain('at ')
    const hostile = failed(new RingsetError('BAD_UID', 'bad \u001b[2J\u0007uid')).text
    expect(hostile).toContain('bad  [2J uid')
  })

  it('are an object for programs', () => {
    const { text } = failed(new RingsetError('TIMEOUT', 'late', { ms: 5 }), true)
    expect(JSON.parse(text)).toMatchObject({
      error: { code: 'TIMEOUT', text: 'late', outcome: 'unknown', facts: { ms: 5 } }
    })
  })

  it('with several problems are a list and a closing line', () => {
    const lines = failed(new RingsetError('CONFIG_INVALID', 'f:1: a\nf:2: b'))
      .text.trimEnd()
      .split('\n')
    expect(lines.slice(0, 2)).toEqual(['f:1: a', 'f:2: b'])
    expect(lines[2]).toMatch(/^error CONFIG_INVALID: 2 problems\./)
  })
})

describe('terminal', () => {
  it('aligns tables: words left, numbers right', () => {
    expect(
      tableLines(
        ['id', 'count'],
        [
          ['a', 5],
          ['longer', 12_345]
        ]
      )
    ).toEqual(['id      count', 'a           5', 'longer  12345'])
  })

  it('lets no foreign text steer it, and cuts lines by what is seen', () => {
    expect(clean('a\u001b[2Jb\u0000c\nd\u009be')).toBe('a [2Jb c d e')
    expect(cutLine('\u001b[31mred\u001b[0m and more', 5)).toBe('\u001b[31mred\u001b[0m a')
    expect(cutLine('short', 80)).toBe('short')
  })

  it('speaks of sizes and times', () => {
    expect([bytesText(0), bytesText(1536), bytesText(150 * 2 ** 20)]).toEqual([
      '0 B',
      '1.5 KiB',
      '150 MiB'
    ])
    expect([5.4, 1500, 90_000, 600_000, 1e7, 2e8].map(durationText)).toEqual([
      '5 ms',
      '1.5 s',
      '90 s',
      '10 min',
      '2.8 h',
      '2.3 d'
    ])
  })
})

const entry = {
  nodeId: 'n1',
  bootId: 1,
  address: 'h:1',
  state: 'up' as const,
  version: '1',
  weight: 1
}
const base: RoutingTable = {
  clusterId: '0000000000aa',
  epoch: 1,
  slotCount: 16,
  runs: [{ first: 0, count: 16, setId: 's1', slotEpoch: 1 }],
  moves: [],
  grey: [],
  tenants: [],
  pins: [],
  arbiters: [],
  sets: [
    {
      id: 's1',
      zone: 'z',
      state: 'active',
      weight: 1,
      transfers: [],
      logics: [{ id: 'l1', ...entry }],
      routers: []
    }
  ]
}

describe('table changes', () => {
  it('are none between equal tables', () => {
    expect(tableChanges(base, { ...base, epoch: 2 })).toEqual([])
  })

  it('name moved slots as runs, and every process that came, went or changed', () => {
    const after: RoutingTable = {
      ...base,
      runs: [
        { first: 0, count: 4, setId: 's1', slotEpoch: 1 },
        { first: 4, count: 1, setId: 's2', slotEpoch: 2 },
        { first: 5, count: 3, setId: 's1', slotEpoch: 1 },
        { first: 8, count: 8, setId: 's2', slotEpoch: 2 }
      ],
      moves: [{ slot: 1, to: 's2', epoch: 2 }],
      pins: [{ match: 'uid', value: 'ann', setId: 's2' }],
      sets: [
        {
          ...base.sets[0]!,
          state: 'draining',
          logics: [
            { id: 'l1', ...entry, bootId: 2 },
            { id: 'l2', ...entry }
          ]
        }
      ]
    }
    expect(tableChanges(base, after)).toEqual([
      'slot 4: set s1 → s2',
      'slots 8–15: set s1 → s2',
      'set s1: state active → draining',
      'logic l1: bootId 1 → 2',
      'logic l2 is new',
      'move of slot 1 is new',
      'pin uid ann is new'
    ])
    expect(tableChanges(after, base)).toContain('logic l2 is gone')
  })
})

const group = { leader: 'n1', term: 1, commit: 1, joint: false, replicas: [] }
const set = {
  id: 's1',
  state: 'active',
  slots: 1,
  users: 0,
  sessions: 0,
  appends: 0,
  leaving: 0,
  outboxes: [],
  router: group,
  logics: [],
  transfers: []
}
const nodeView = {
  id: 'n1',
  zone: 'z',
  state: 'running',
  pid: 1,
  epoch: 1,
  uptimeMs: 1,
  rssBytes: 1,
  cpuMicros: 1,
  eventLoopP99Ms: 1,
  roles: [],
  controlAddress: ''
}
const status: ClusterStatus = {
  cluster: 'c',
  clusterId: '',
  epoch: 1,
  arbiter: group,
  sets: [set],
  moves: [],
  nodes: [nodeView]
}

describe('status', () => {
  it('has a line about slots on their way, while there are any', () => {
    const way = (slot: number, from: string, to: string) => ({ slot, from, to, epoch: 3 })
    const moves = [way(1, 's1', 's2'), way(2, 's1', 's2'), way(7, 's2', 's1')]
    const linesOf = (shown: ClusterStatus) =>
      statusLines({ atMs: 0, status: shown, perSecond: new Map(), cores: new Map() }, false)
    expect(linesOf({ ...status, moves })).toContain('3 slots on the way, s1 → s2: 1..2; s2 → s1: 7')
    expect(linesOf(status).join()).not.toContain('on the way')
  })

  it('names zones where there are several', () => {
    const nodes = [nodeView, { ...nodeView, id: 'n2', zone: 'y' }]
    const textOf = (shown: ClusterStatus) =>
      statusLines({ atMs: 0, status: shown, perSecond: new Map(), cores: new Map() }, false).join(
        '\n'
      )
    expect(textOf({ ...status, nodes })).toMatch(/node\s+zone\s+state[\s\S]*n2\s+y\s+running/)
    expect(textOf(status)).not.toContain('zone')
  })
})

describe('events and rates', () => {
  it('tell what changed between two looks', () => {
    expect(clusterEvents(status, status)).toEqual([])
    const later: ClusterStatus = {
      ...status,
      epoch: 2,
      sets: [{ ...set, state: 'unavailable', router: { ...group, leader: null, term: 2 } }],
      nodes: [{ ...nodeView, pid: 2 }]
    }
    expect(clusterEvents(status, later)).toEqual([
      'table epoch 1 → 2',
      'set s1: leader n1 → none (term 2)',
      'set s1: active → unavailable',
      'node n1: restarted as pid 2'
    ])
  })

  it('count per second, and not below zero when a process restarted', () => {
    const transfers = [{ id: 't1', set: 's1', acks: 30, pushes: 5 }]
    const sample = (atMs: number, acks: number, pushes: number) => ({
      atMs,
      table: undefined,
      nodes: [
        {
          id: 'n1',
          controlAddress: '',
          error: undefined,
          status: StatusResponse.fromPartial({ transfers: [{ ...transfers[0]!, acks, pushes }] })
        }
      ]
    })
    const first = pictureOf(sample(1000, 30, 5))
    expect(first.perSecond.get('s1')).toEqual({ acks: 0, pushes: 0, commits: 0 })
    expect(pictureOf(sample(3000, 130, 1), first).perSecond.get('s1')).toEqual({
      acks: 50,
      pushes: 0,
      commits: 0
    })
  })

  it('count entries and processor time, but not those of another process or leaderless group', () => {
    const sample = (atMs: number, pid: number, commit: number, cpuMicros: number) => {
      const raft = { replica: 1, role: commit === 0 ? 'follower' : 'leader', term: 1, commit }
      const fields = { pid, process: { cpuMicros }, routers: [{ set: 's1', raft }] }
      const status = StatusResponse.fromPartial(fields)
      const node = { id: 'n1', controlAddress: '', error: undefined, status }
      return { atMs, table: undefined, nodes: [node] }
    }
    const first = pictureOf(sample(1_000, 1, 100, 0))
    const second = pictureOf(sample(3_000, 1, 160, 500_000), first)
    expect(second.perSecond.get('s1')?.commits).toBe(30)
    expect(second.cores.get('n1')).toBe(0.25)
    const none = pictureOf(sample(4_000, 2, 0, 900_000), second)
    expect([none.perSecond.get('s1')?.commits, none.cores.get('n1')]).toEqual([0, 0])
    const again = pictureOf(sample(5_000, 2, 170, 900_000), none)
    expect(again.perSecond.get('s1')?.commits).toBe(0)
  })
})

describe('top', () => {
  const transfer = {
    id: 't1',
    node: 'n1',
    state: 'up',
    addresses: [],
    acks: 0,
    sends: 0,
    pushes: 0
  }
  const picture = {
    atMs: 0,
    status: {
      ...status,
      sets: [
        { ...set, transfers: [{ ...transfer, connections: 3 }] },
        { ...set, id: 's2', state: 'unavailable', router: { ...group, leader: null } }
      ],
      nodes: [nodeView, { ...nodeView, id: 'n2', state: 'unreachable' }]
    },
    perSecond: new Map([['s1', { acks: 1_234.56, pushes: 2, commits: 9 }]]),
    cores: new Map([['n1', 0.12345]])
  }

  it('is one line where it cannot draw', () => {
    expect(topLine(picture)).toMatch(
      /^\d{4}-\S+Z {2}sent 1,235\/s {2}pushed 2\/s {2}commits 9\/s {2}3 conns {2}epoch 1 {2}s1 n1 1235\/s {2}s2 no leader 0\/s {2}unreachable: n2$/
    )
  })

  it('is an object for programs', () => {
    expect(topJson(picture)).toMatchObject({
      connections: 3,
      perSecond: { acks: 1_234.6, pushes: 2, commits: 9 },
      sets: [
        { id: 's1', leader: 'n1', connections: 3, perSecond: { acks: 1_234.6 } },
        { id: 's2', leader: null, perSecond: { acks: 0, pushes: 0, commits: 0 } }
      ],
      nodes: [
        { id: 'n1', cores: 0.123 },
        { id: 'n2', state: 'unreachable', cores: 0 }
      ]
    })
  })

  it('shows rates in front of what a narrow terminal may cut', () => {
    const [, , head = ''] = statusLines(picture, true)
    expect(head.indexOf('commits/s')).toBeGreaterThan(0)
    expect(head.indexOf('commits/s')).toBeLessThan(60)
  })
})

describe('doctor', () => {
  it('prints every finding, the remedy under it, and the sum', () => {
    const lines = findingLines([
      ok('a', 'fine'),
      warn('b', 'hm', 'do this'),
      fail('c', 'no', 'or that')
    ])
    expect(lines).toEqual([
      '      check  finding',
      'ok    a      fine',
      'warn  b      hm',
      '      → do this',
      'fail  c      no',
      '      → or that',
      '',
      '1 ok, 1 to look at, 1 failed'
    ])
  })
})
