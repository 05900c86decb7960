import { tmpdir } from 'node:os'
import { describe, expect, it } from 'vitest'
import { noMetrics, silentLog } from '../base/ports.ts'
import { DiskGuard } from './disk-guard.ts'

class Desk {
  freeBytes: number | Error = 1_000
  nowMs = 0
  leads = true
  readonly handOvers: number[] = []
  readonly guard = new DiskGuard({
    directory: 'anywhere',
    reserveBytes: 100,
    log: silentLog,
    metrics: noMetrics,
    nowMs: () => this.nowMs,
    handOver: () => {
      if (!this.leads) return []
      this.handOvers.push(this.nowMs)
      return ['router/s1']
    },
    freeBytes: async () => {
      if (this.freeBytes instanceof Error) throw this.freeBytes
      return this.freeBytes
    }
  })

  async look(freeBytes: number | Error): Promise<boolean> {
    this.freeBytes = freeBytes
    await this.guard.check()
    return this.guard.low
  }
}

describe('a disk that fills up', () => {
  it('counts as nearly full below the reserve and as roomy a tenth above it', async () => {
    const desk = new Desk()
    expect(await desk.look(100)).toBe(false)
    expect(await desk.look(99)).toBe(true)
    expect(await desk.look(105)).toBe(true)
    expect(await desk.look(110)).toBe(false)
    expect(await desk.look(105)).toBe(false)
  })

  it('makes leaders go, at once and then every ten seconds at the most', async () => {
    const desk = new Desk()
    await desk.look(500)
    expect(desk.handOvers).toEqual([])
    for (; desk.nowMs < 25_000; desk.nowMs += 1_000) await desk.look(10)
    expect(desk.handOvers).toEqual([0, 10_000, 20_000])
  })

  it('makes a leader go that is elected later', async () => {
    const desk = new Desk()
    desk.leads = false
    await desk.look(10)
    desk.nowMs = 5_000
    desk.leads = true
    await desk.look(10)
    expect(desk.handOvers).toEqual([5_000])
  })

  it('stays what it was while its space cannot be told', async () => {
    const desk = new Desk()
    await desk.look(10)
    expect(await desk.look(new Error('not mounted'))).toBe(true)
    expect(await desk.look(500)).toBe(false)
  })

  it('is measured on a real one', async () => {
    const gauges: number[] = []
    const guard = new DiskGuard({
      directory: tmpdir(),
      reserveBytes: Number.MAX_SAFE_INTEGER,
      log: silentLog,
      metrics: { ...noMetrics, gauge: (_name, value) => gauges.push(value) },
      nowMs: () => 0,
      handOver: () => []
    })
    await guard.check()
    expect(guard.low).toBe(true)
    expect(gauges[0]).toBeGreaterThan(0)
  })
})
