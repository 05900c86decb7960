import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import { dataFolder } from '../config/data-folder.ts'
import { StatusResponse } from '../gen/ringset/control/v1/control.ts'
import type { MoveStep } from '../table/move-steps.ts'
import { StepKills } from './step-kills.ts'
import { slotStepIn } from './step-lines.ts'

const directories: string[] = []

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true })
})

/** One slot of s1, and a cluster that begins its move and goes no further by itself. */
function setUp() {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'ringset-step-kills-'))
  directories.push(dataDirectory)
  const place = { owner: 's1', epoch: 1, moving: false }
  /** What happens when the move is looked at for the n-th time. */
  const atLook = new Map<number, () => void>()
  let looks = 0
  const table = () => ({
    clusterId: '0a0000000001',
    epoch: place.epoch,
    slotCount: 1,
    runs: [{ first: 0, count: 1, setId: place.owner, slotEpoch: 1 }],
    moves: place.moving ? [{ slot: 0, to: 's2', epoch: 2 }] : [],
    pins: [],
    tenants: [],
    grey: [],
    sets: ['s1', 's2'].map(id => {
      return { id, zone: 'a', state: 'active', weight: 1, transfers: [], logics: [], routers: [] }
    }),
    arbiters: []
  })
  const node = {
    table: async () => {
      if (place.moving) atLook.get(++looks)?.()
      return table()
    },
    moveSlots: async () => {
      place.moving = true
      return ++place.epoch
    }
  }
  const raft = { replica: 1, role: 'leader', term: 1 }
  const status = StatusResponse.fromPartial({ nodeId: 'a1', arbiters: [{ raft }] })
  const nodes = ['s1', 's2'].map(set => {
    return { id: `${set}-a`, roles: [{ role: 'router', set, replica: 1 }] }
  })
  const control = {
    any: <T>(ask: (client: typeof node) => Promise<T>) => ask(node),
    node: () => node,
    sample: async () => ({ atMs: 0, nodes: [{ id: 'a1', status }], table: table() })
  }
  const moved: string[] = []
  const ended = new AbortController()
  const kills = new StepKills({
    cluster: { config: { nodes }, control, node: () => node } as never,
    processes: { dataDirectory } as never,
    leaders: new Map([
      ['s1', 's1-a'],
      ['s2', 's2-a'],
      ['arbiter', 'a1']
    ]),
    random: new Prng(1),
    uids: ['ann'],
    onMove: (slot, from) => moved.push(`${slot} of ${from}`),
    signal: ended.signal
  })
  const end = (owner: string): void => {
    place.owner = owner
    place.moving = false
    place.epoch++
  }
  const log = (id: string, step: MoveStep, slot = 0, laterMs = 0): void => {
    const file = dataFolder(dataDirectory).nodeLogFile(id)
    mkdirSync(dirname(file), { recursive: true })
    const time = new Date(Date.now() + laterMs).toISOString()
    const line = { level: 'info', time, event: 'slot_step', step, slot, move: 2, epoch: 0 }
    appendFileSync(file, `${JSON.stringify(line)}\n`)
  }
  return { kills, moved, end, log, ended, atLook }
}

describe('the killer at a step of a move', () => {
  it('waits for the step, kills the leader it is told, and says what became of the slot', async () => {
    const { kills, moved, end, log, atLook } = setUp()
    log('s1-a', 'seal')
    const killed: string[] = []
    let logged = false
    atLook.set(3, () => log('s1-a', 'seal', 7))
    atLook.set(6, () => {
      logged = true
      log('s2-a', 'imported')
      log('s1-a', 'seal')
    })
    const done = kills.do('seal', 'destination', async node => {
      expect(logged).toBe(true)
      killed.push(node)
      log('s2-a', 'take', 0, 1_000)
      end('s2')
    })
    expect(await done).toMatch(
      /^seal, destination: s2-a, leader of s2, killed \d+ ms after it was logged, and after imported; slot 0 arrived in s2, \d+ ms after the order$/
    )
    expect(killed).toEqual(['s2-a'])
    expect(moved).toEqual(['0 of s1'])
  })

  it('sees in the table that a move has begun, and that the slot stays', async () => {
    const { kills, end } = setUp()
    const text = await kills.do('begun', 'arbiter', async () => end('s1'))
    expect(text).toMatch(/begun, arbiter: a1, .* when it was seen; slot 0 stayed in s1/)
  })

  it('kills nobody when the move is called off before the step', async () => {
    const { kills, end, atLook } = setUp()
    const none = async (): Promise<void> => {
      throw new Error('nobody was to die')
    }
    let calledOff = false
    atLook.set(4, () => {
      calledOff = true
      end('s1')
    })
    const done = kills.do('imported', 'source', none)
    await expect(done).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(calledOff).toBe(true)
  })

  it('waits no longer when the drill ends', async () => {
    const { kills, ended, atLook } = setUp()
    atLook.set(4, () => ended.abort())
    const done = kills.do('take', 'source', async () => {})
    await expect(done).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})

describe('a line of a log', () => {
  it('is a step, or none', () => {
    const line =
      '{"time":"2026-01-01T00:00:00.000Z","event":"slot_step","step":"take","slot":3,"epoch":9}'
    const atMs = Date.UTC(2026, 0, 1)
    expect(slotStepIn(line)).toEqual({ atMs, step: 'take', slot: 3, epoch: 9 })
    for (const other of ['', '"slot_step"', '{"event":"slot_step"', '{"text":"\\"slot_step\\""}']) {
      expect(slotStepIn(other)).toBeUndefined()
    }
  })
})
