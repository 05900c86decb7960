import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { RingsetError } from '../base/errors.ts'
import { createLog } from './log.ts'
import { createMetrics } from './metrics.ts'
import { ProcessMeter } from './process-meter.ts'

const folder = mkdtempSync(join(tmpdir(), 'ringset-observe-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('log', () => {
  it('writes one JSON line per event, at once, with facts, level and time', () => {
    const file = join(folder, 'deep', 'node.log')
    const log = createLog({ level: 'info', file, base: { node: 'n1' } })
    log.debug('unseen')
    log.info('started', { port: 7 })
    const cause = new Error('EACCES')
    log.error('failed', { error: new RingsetError('DISK_FAILED', 'no', { file: 'x' }, cause) })
    const lines = readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(lines).toMatchObject([
      { level: 'info', node: 'n1', event: 'started', port: 7 },
      {
        level: 'error',
        event: 'failed',
        error: { code: 'DISK_FAILED', facts: { file: 'x' }, cause: { message: 'EACCES' } }
      }
    ])
    expect(Date.parse(lines[0].time)).not.toBeNaN()
    expect(lines[1].error.stack).toContain('observe.test.ts')
  })
})

describe('metrics', () => {
  it('counts, gauges and distributes', async () => {
    const metrics = createMetrics()
    metrics.count('appends_total')
    metrics.count('appends_total', 4)
    metrics.gauge('connections', 7)
    metrics.gauge('connections', 3)
    for (const size of [1, 1, 1, 100]) metrics.observe('batch_size', size)
    expect(metrics.snapshot()).toEqual({
      appends_total: 5,
      connections: 3,
      batch_size_count: 4,
      batch_size_mean: 25.75,
      batch_size_p50: 1,
      batch_size_p99: 100,
      batch_size_max: 100
    })
    const text = await metrics.text()
    for (const line of [
      'ringset_appends_total 5',
      'ringset_connections 3',
      'ringset_batch_size_bucket{le="1"} 3',
      'ringset_batch_size_bucket{le="64"} 3',
      'ringset_batch_size_bucket{le="128"} 4',
      'ringset_batch_size_bucket{le="+Inf"} 4',
      'ringset_batch_size_sum 103',
      'ringset_batch_size_count 4'
    ]) {
      expect(text.split('\n')).toContain(line)
    }
    expect(text).toContain('ringset_process_resident_memory_bytes')
    expect((await metrics.text()).split('\n')).toContain('ringset_appends_total 5')
  })

  it('puts every value into a bucket that holds it', () => {
    for (const value of [-5, 0, 0.001, 0.0078125, 0.5, 1, 1.5, 2, 3, 1e6, 2 ** 24, 1e9]) {
      const metrics = createMetrics()
      metrics.observe('x', value)
      const { p50, max } = metrics.distribution('x')
      expect(p50).toBe(Math.max(0, value))
      expect(max).toBe(Math.max(0, value))
    }
    expect(createMetrics().distribution('never').count).toBe(0)
  })

  it('keeps at most 1,000 names, so that a name made from input costs no memory', () => {
    const metrics = createMetrics()
    for (let i = 0; i < 1100; i++) metrics.count(`n${i}`)
    expect(Object.keys(metrics.snapshot())).toHaveLength(1000)
  })
})

describe('process meter', () => {
  it('reads memory and processor time', () => {
    const meter = new ProcessMeter()
    const first = meter.read()
    let sum = 0
    for (let i = 0; i < 3e6; i++) sum += Math.sqrt(i)
    const second = meter.read()
    meter.stop()
    expect(sum).toBeGreaterThan(0)
    expect(first.rssBytes).toBeGreaterThan(first.heapUsedBytes)
    expect(second.cpuMicros).toBeGreaterThan(first.cpuMicros)
  })
})
