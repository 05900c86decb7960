import { describe, expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import { Gathering } from './gathering.ts'

const gatherMs = 8

interface Played {
  readonly entries: number
  /** When the entries that had waited were proposed. */
  readonly waitedAtMs: readonly number[]
}

/**
 * Plays a leader that looks at its open entry every quarter of a millisecond, and whose disk takes 1.5 ms. `arriving` says how many commands come in, `answered`
 * hears of those whose entry is on the disk.
 */
function play(
  seconds: number,
  arriving: (nowMs: number) => number,
  answered: (nowMs: number, commands: number) => void = () => {}
): Played {
  const gathering = new Gathering(gatherMs)
  let open = 0
  let onDisk = 0
  let diskUntilMs = 0
  let entries = 0
  const waitedAtMs: number[] = []
  let waited = false
  for (let nowMs = 0; nowMs < seconds * 1_000; nowMs += 0.25) {
    if (onDisk > 0 && nowMs >= diskUntilMs) {
      answered(nowMs, onDisk)
      onDisk = 0
    }
    open += arriving(nowMs)
    if (open === 0 || onDisk > 0) continue
    if (gathering.waitMs(nowMs, open) > 0) {
      waited = true
      continue
    }
    gathering.proposed(nowMs, open)
    entries++
    if (waited) waitedAtMs.push(nowMs)
    waited = false
    onDisk = open
    open = 0
    diskUntilMs = nowMs + 1.5
  }
  return { entries, waitedAtMs }
}

/** Commands that come when they come. */
function openLoop(perSecond: number): (nowMs: number) => number {
  const random = new Prng(7, 'arrivals')
  let nextMs = 0
  return nowMs => {
    let count = 0
    while (nextMs <= nowMs) {
      count++
      nextMs += (-Math.log(1 - random.float()) * 1_000) / perSecond
    }
    return count
  }
}

/** So many clients, each of which asks again a little after its answer, or with `dawdling` some milliseconds later. */
function closedLoop(clients: number, dawdling = 0) {
  const random = new Prng(9, 'clients')
  let dueMs = Array.from({ length: clients }, () => 0)
  return {
    arriving: (nowMs: number) => {
      const before = dueMs.length
      dueMs = dueMs.filter(atMs => atMs > nowMs)
      return before - dueMs.length
    },
    answered: (nowMs: number, commands: number) => {
      for (let i = 0; i < commands; i++) {
        dueMs.push(nowMs + 0.3 + random.float() * (random.float() < dawdling ? 7 : 1))
      }
    }
  }
}

describe('an entry', () => {
  it('waits for commands that keep coming', () => {
    const { entries, waitedAtMs } = play(10, openLoop(1_000))
    expect(entries / 10).toBeLessThan(1.2 * (1_000 / gatherMs))
    expect(waitedAtMs.length / entries).toBeGreaterThan(0.85)
  })

  it.each([1, 8, 64])('does not wait for %i clients that wait for it', clients => {
    const { arriving, answered } = closedLoop(clients)
    const { entries, waitedAtMs } = play(10, arriving, answered)
    expect(waitedAtMs.length).toBeGreaterThan(30)
    expect(waitedAtMs.length).toBeLessThanOrEqual(40)
    expect(entries / 10).toBeGreaterThan(300)
  })

  it('does not wait for the few of many that dawdle', () => {
    const { arriving, answered } = closedLoop(64, 1 / 20)
    expect(play(10, arriving, answered).waitedAtMs.length).toBeLessThan(60)
  })

  it('hardly ever waits where few come', () => {
    const { entries, waitedAtMs } = play(20, openLoop(60))
    expect(waitedAtMs.length / entries).toBeLessThan(0.1)
  })

  it('waits no more once the load waits for its outcome', () => {
    const clients = closedLoop(32)
    const opened = openLoop(1_000)
    const arriving = (nowMs: number): number =>
      nowMs < 5_000 ? opened(nowMs) : clients.arriving(nowMs)
    const { waitedAtMs } = play(10, arriving, (nowMs, commands) => {
      if (nowMs >= 5_000) clients.answered(nowMs, Math.min(commands, 32))
    })
    expect(waitedAtMs.filter(atMs => atMs < 5_000).length).toBeGreaterThan(500)
    expect(waitedAtMs.filter(atMs => atMs >= 5_000).length).toBeLessThan(40)
  })

  it('is never kept longer than until the last one is old enough', () => {
    const gathering = new Gathering(gatherMs)
    expect(gathering.waitMs(100, 1)).toBe(0)
    gathering.proposed(100, 1)
    expect(gathering.waitMs(102, 1)).toBe(6)
    expect(gathering.waitMs(104, 2)).toBe(4)
    expect(gathering.waitMs(107.6, 3)).toBe(0)
    expect(gathering.waitMs(500, 3)).toBe(0)
  })

  it('never waits when told not to', () => {
    const gathering = new Gathering(0)
    for (let nowMs = 0; nowMs < 1_000; nowMs++) {
      expect(gathering.waitMs(nowMs, 1)).toBe(0)
      gathering.proposed(nowMs, 1)
    }
  })
})
