import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { RingsetError } from '../base/errors.ts'
import { type ComparedRun, compareRuns, readRuns } from './compare.ts'
import { percentiles } from './recovery.ts'
import type { ChaosReport } from './report.ts'
import { parseScenario, type Scenario } from './scenario.ts'
import { runSuite, shortened } from './suite.ts'
import { type LoggedRun, readSuiteLog } from './suite-log.ts'
import { rowOf, type SuiteMeasures, type SuiteRun, timesSeenIn } from './suite-rows.ts'

const folder = mkdtempSync(join(tmpdir(), 'ringset-compare-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const measures = (firstAckMs: number, wrongMs?: number): SuiteMeasures => {
  const none = percentiles([])
  return {
    ack: percentiles([10]),
    delivery: none,
    detection: none,
    election: none,
    convergence: none,
    firstAck: percentiles([firstAckMs]),
    firstDelivery: none,
    fullRate: none,
    wrongOnline: wrongMs === undefined ? none : percentiles([wrongMs]),
    usersBack: none
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

  it('is the whole one when that ends by itself', () => {
    const whole = { ...scenario, untilDone: true }
    expect(shortened(whole, 8)).toBe(whole)
  })

  it('is never a longer one', () => {
    expect(shortened(scenario, 41)).toBe(scenario)
  })
})

describe('several runs of a scenario', () => {
  const recovery = (firstAckMs: number | null) => {
    const led = { detectedMs: null, electedMs: null, convergedMs: null }
    return { ...led, firstAckMs, firstDeliveryMs: null, fullRateMs: null }
  }
  const ran = (seed: number, ackMs: number, ...firstAcksMs: (number | null)[]): SuiteRun => {
    const messages = { ack: percentiles([ackMs, 2 * ackMs]), delivery: percentiles([]) }
    const recoveries = firstAcksMs.map(recovery)
    const seen = timesSeenIn({ recoveries, wrongOnline: [], usersBack: [], messages })
    const rest = { failures: [], faults: firstAcksMs.length, seconds: 10, seen }
    return { scenario: 'a', seed, verdict: 'pass', ...rest }
  }

  it('are one row, whose times are those of all faults', () => {
    const row = rowOf([ran(1, 10, 100, null), ran(2, 30, 300), ran(3, 20, 200)])
    expect(row).toMatchObject({ scenario: 'a', seed: 1, verdict: 'pass', faults: 4, seconds: 30 })
    expect(row.measures.firstAck).toEqual({ count: 3, p50Ms: 200, p99Ms: 300, maxMs: 300 })
    expect(row.measures.ack).toEqual({ count: 6, p50Ms: 20, p99Ms: 60, maxMs: 60 })
    expect(row.measures.delivery).toEqual({ count: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 })
    expect(row.runs.map(({ seed }) => seed)).toEqual([1, 2, 3])
  })

  it('pass only if all of them do', () => {
    const bad = { ...ran(2, 10), verdict: 'fail' as const, failures: ['loss'] }
    const doubtful = { ...ran(3, 10), verdict: 'unknown' as const, failures: ['loss', 'order'] }
    expect(rowOf([ran(1, 10), doubtful]).verdict).toBe('unknown')
    const row = rowOf([ran(1, 10), bad, doubtful, ran(4, 10)])
    expect([row.verdict, row.failures]).toEqual(['fail', ['loss', 'order']])
    const stopped = { ...ran(5, 10), verdict: 'failed' as const, seen: undefined }
    const one = rowOf([stopped, bad])
    expect([one.verdict, one.measures.ack.count]).toEqual(['failed', 2])
  })
})

describe('a suite', () => {
  const scenarios = ['a', 'b'].map(name =>
    parseScenario(
      `name: ${name}\nproves: it does something\nseconds: 40\nfaults: []`,
      `${name}.yaml`
    )
  )
  interface How {
    readonly budgetSeconds?: number
    readonly failing?: string
    readonly stopping?: string
    readonly known?: readonly LoggedRun[]
    readonly of?: readonly Scenario[]
    readonly into?: string
  }
  const suite = async (how: How) => {
    const stop = new AbortController()
    const ran: string[] = []
    const reportDirectory = how.into ?? mkdtempSync(join(folder, 'suite-'))
    const report = await runSuite(
      {
        scenarios: how.of ?? scenarios,
        known: how.known,
        runs: 2,
        seed: 7,
        budgetSeconds: how.budgetSeconds,
        reportDirectory,
        onScenario: () => {},
        onRun: ({ scenario, seed, verdict }) => ran.push(`${scenario} ${seed} ${verdict}`),
        onProgress: () => {},
        roll: async () => {},
        signal: stop.signal
      },
      async ({ scenario, seed, reportDirectory: own }) => {
        mkdirSync(own!, { recursive: true })
        const name = `${scenario.name} ${seed}`
        if (name === how.stopping) {
          stop.abort()
          throw new RingsetError('CANCELLED', 'stopped')
        }
        if (name === how.failing) throw new RingsetError('TIMEOUT', 'too late')
        const none = percentiles([])
        const messages = { ack: none, delivery: none }
        const seen = { messages, recoveries: [], wrongOnline: [], usersBack: [] }
        return { verdict: 'pass', checks: [], faults: [], ...seen } as unknown as ChaosReport
      }
    )
    const written = JSON.parse(readFileSync(join(reportDirectory, 'suite.json'), 'utf8'))
    return { report, ran, written, reportDirectory, folders: readdirSync(reportDirectory) }
  }

  it('runs all of them before any of them again, each time with the next seed', async () => {
    const { report, ran, written, folders } = await suite({})
    expect(ran).toEqual(['a 7 pass', 'b 7 pass', 'a 8 pass', 'b 8 pass'])
    expect(report).toMatchObject({ verdict: 'pass', notRun: [], rows: [{}, {}] })
    expect(written).toEqual(report)
    expect(folders).toEqual(['runs.jsonl', 'suite.json'])
  })

  it('goes on after one that could not be carried out, and keeps what it wrote', async () => {
    const { report, ran, folders } = await suite({ failing: 'b 7' })
    expect(ran).toEqual(['a 7 pass', 'b 7 failed', 'a 8 pass', 'b 8 pass'])
    expect(report.verdict).toBe('fail')
    expect(report.rows[1]).toMatchObject({ verdict: 'failed', failures: ['TIMEOUT: too late'] })
    expect(folders).toEqual(['b-7', 'runs.jsonl', 'suite.json'])
  })

  it('tells what ran before it was stopped', async () => {
    const { report, ran, written } = await suite({ stopping: 'a 8' })
    expect(ran).toEqual(['a 7 pass', 'b 7 pass'])
    expect(report).toMatchObject({ verdict: 'fail', stopped: true, notRun: ['a', 'b'] })
    expect(report.rows.map(({ verdict }) => verdict)).toEqual(['pass', 'pass'])
    expect(written).toEqual(report)
    await expect(suite({ stopping: 'a 7' })).rejects.toMatchObject({ code: 'CANCELLED' })
  })

  it('goes on where one was stopped, and tells of the runs of both', async () => {
    const { reportDirectory: into } = await suite({ stopping: 'a 8', failing: 'b 7' })
    const known = readSuiteLog(into)
    const { report, ran, written } = await suite({ into, known })
    expect(ran).toEqual(['a 8 pass', 'b 8 pass'])
    expect(report).toMatchObject({ verdict: 'fail', notRun: [], stopped: false })
    expect(report.rows.map(({ runs }) => runs.map(({ verdict }) => verdict))).toEqual([
      ['pass', 'pass'],
      ['failed', 'pass']
    ])
    expect(written).toEqual(report)
    expect(readSuiteLog(into)).toHaveLength(4)
  })

  it('does not count a run of a scenario that was another', async () => {
    const { reportDirectory: into } = await suite({})
    const of = [scenarios[0]!, { ...scenarios[1]!, seconds: 39 }]
    const { ran } = await suite({ into, of, known: readSuiteLog(into) })
    expect(ran).toEqual(['b 7 pass', 'b 8 pass'])
  })

  it('does not write into the folder of one that it does not go on with', async () => {
    const { reportDirectory: into, report } = await suite({})
    await expect(suite({ into })).rejects.toMatchObject({ code: 'USAGE' })
    expect(JSON.parse(readFileSync(join(into, 'suite.json'), 'utf8'))).toEqual(report)
    expect(readSuiteLog(into)).toHaveLength(4)
  })

  it('reads back no line that was not written to its end, and nothing else', async () => {
    const { reportDirectory: into } = await suite({})
    const file = join(into, 'runs.jsonl')
    const lines = readFileSync(file, 'utf8')
    writeFileSync(file, lines.slice(0, -10))
    expect(readSuiteLog(into).map(({ scenario, seed }) => `${scenario} ${seed}`)).toEqual([
      'a 7',
      'b 7',
      'a 8'
    ])
    for (const second of ['{', '{}', '', '{"scenario":"a","seed":-1}']) {
      writeFileSync(file, `${lines.split('\n')[0]}\n${second}\n`)
      const expected = { code: 'USAGE', message: expect.stringContaining('runs.jsonl:2: ') }
      expect(() => readSuiteLog(into), second).toThrow(expect.objectContaining(expected))
    }
    expect(() => readSuiteLog(folder)).toThrow(/no such file, so no suite to go on with/)
  })

  it('has not passed when the time is over before all have run as often as asked for', async () => {
    const { report, ran } = await suite({ budgetSeconds: 1 })
    expect(ran).toEqual(['a 7 pass'])
    const expected = { verdict: 'fail', runs: 2, stopped: false, notRun: ['a', 'b'], rows: [{}] }
    expect(report).toMatchObject(expected)
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

  it('know which scenario did not run as often as it should have', () => {
    const file = join(folder, 'cut-off.json')
    const rows = [run('a', 5), run('b', 5), run('c', 5, 'fail')]
    writeFileSync(file, JSON.stringify({ format: 1, rows, notRun: ['b', 'c', 'd'] }))
    const whole = [...rows.slice(0, 2), run('c', 5), run('d', 5)]
    const { broken, onlyBefore, verdicts } = compareRuns(whole, readRuns(file))
    expect([broken, onlyBefore]).toEqual([['b', 'c', 'd'], []])
    expect(verdicts.map(({ after }) => after)).toEqual(['pass', 'not run', 'fail', 'not run'])
  })

  it('are read of suites that called the election detection', () => {
    const file = join(folder, 'older.json')
    const { election: _, convergence: __, ...older } = measures(5)
    const elections = percentiles([120, 130])
    const row = { ...run('a', 5), measures: { ...older, detection: elections } }
    writeFileSync(file, JSON.stringify({ format: 1, rows: [row] }))
    const [{ measures: read }] = readRuns(file) as [ComparedRun]
    expect([read.detection.count, read.election, read.convergence.count]).toEqual([0, elections, 0])
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
