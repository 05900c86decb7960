import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type ComparedRun, compareRuns, readRuns } from './compare.ts'
import { percentiles } from './recovery.ts'
import { parseScenario } from './scenario.ts'
import { type SuiteMeasures, shortened } from './suite.ts'

const folder = mkdtempSync(join(tmpdir(), 'ringset-compare-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const measures = (firstAckMs: number, wrongMs?: number): SuiteMeasures => {
  const none = percentiles([])
  return {
    ack: percentiles([10]),
    delivery: none,
    detection: none,
    firstAck: percentiles([firstAckMs]),
    firstDelivery: none,
    fullRate: none,
    wrongOnline: wrongMs === undefined ? none : percentiles([wrongMs])
  }
}
const run = (scenario: string, firstAckMs: number, verdict = 'pass'): ComparedRun => {
  return { scenario, verdict, measures: measures(firstAckMs) }
}

describe('a shortened scenario', () => {
  const scenario = parseScenario(
    'name: a\nproves: it does something\nseconds: 40\nfaults:\n' +
      '  - { do: kill, target: everything, at: 20, seconds: 4 }\n' +
      '  - { do: kill, target: everything, every: 30, seconds: 1 }',
    'a.yaml'
  )

  it('has all of its faults in less time', () => {
    const { seconds, faults } = shortened(scenario, 20)
    expect([seconds, faults[0]!.at, faults[0]!.seconds]).toEqual([20, 10, 2])
    expect([faults[1]!.every, faults[1]!.seconds]).toEqual([10, 1])
  })

  it('is as long as it has to be at the least', () => {
    const least = { ...scenario, leastSeconds: 30 }
    expect(shortened(least, 8)).toEqual({ ...shortened(scenario, 30), leastSeconds: 30 })
    expect(shortened({ ...scenario, leastSeconds: 40 }, 8).seconds).toBe(40)
  })

  it('is never a longer one', () => {
    expect(shortened(scenario, 41)).toBe(scenario)
  })
})

describe('two reports side by side', () => {
  it('say what got worse, what better, and what is only chance', () => {
    const before = [run('a', 500), run('b', 500), run('c', 500), run('d', 50)]
    const after = [run('a', 700), run('b', 300), run('c', 620), run('d', 75)]
    const found = compareRuns(before, after).figures.filter(
      ({ measure }) => measure === 'first-ack p99'
    )
    expect(found.map(({ scenario, change }) => `${scenario} ${change}`)).toEqual([
      'a worse',
      'b better',
      'c same',
      'd same'
    ])
    expect(found[0]).toMatchObject({ before: 500, after: 700, ratio: 1.4 })
  })

  it('leave out what only one of them has, and name the scenario', () => {
    const { figures, onlyBefore, onlyAfter } = compareRuns(
      [run('a', 1), run('b', 1)],
      [{ ...run('a', 1), measures: measures(1, 700) }, run('c', 1)]
    )
    expect([onlyBefore, onlyAfter]).toEqual([['b'], ['c']])
    expect(new Set(figures.map(({ measure }) => measure))).toEqual(
      new Set(['ack p50', 'ack p99', 'first-ack p50', 'first-ack p99'])
    )
  })

  it('know which scenario no longer passes', () => {
    const { broken, verdicts } = compareRuns(
      [run('a', 1), run('b', 1, 'fail')],
      [run('a', 1, 'unknown'), run('b', 1, 'pass')]
    )
    expect(broken).toEqual(['a'])
    expect(verdicts[0]).toEqual({ scenario: 'a', before: 'pass', after: 'unknown' })
  })

  it('are read from a folder or a file, and nothing else is taken for one', () => {
    const file = join(folder, 'suite.json')
    writeFileSync(file, JSON.stringify({ format: 1, rows: [run('a', 5)] }))
    expect(readRuns(folder)).toEqual(readRuns(file))
    expect(readRuns(folder)[0]).toMatchObject({ scenario: 'a', verdict: 'pass' })
    for (const [name, text] of [
      ['broken.json', '{'],
      ['other.json', '{"format":1}'],
      ['old.json', '{"format":1,"scenario":"a","verdict":"pass"}']
    ] as const) {
      writeFileSync(join(folder, name), text)
      expect(() => readRuns(join(folder, name)), name).toThrow(
        expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(name) })
      )
    }
    expect(() => readRuns(join(folder, 'none'))).toThrow(/no such file or folder/)
  })
})
