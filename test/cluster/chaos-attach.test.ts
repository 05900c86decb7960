import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { wholeClusterConfig } from '../../src/launch/whole-cluster.ts'
import { CommandLine } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { TestCluster } from '../support/test-cluster.ts'

const harsh = `name: harsh
proves: What a drill has done to a running cluster is mended, whenever it ends.
seconds: 60
workload: { users: 6, messagesPerSecond: 20, backends: 1 }
faults:
  - { do: kill, target: leader of s1, at: 0.1, seconds: 50 }
  - { do: pause, target: follower of arbiter, at: 0.1, seconds: 50 }
  - { do: diskFull, target: follower of s1, at: 0.1, seconds: 50 }
`
const mild = `name: mild
proves: A drill knows a cluster by its control interface alone.
seconds: 2
workload: { users: 6, messagesPerSecond: 20, backends: 1 }
faults:
  - { do: handOver, target: leader of s1, at: 0.1 }
  - { do: clockOffset, target: everything, at: 0.1, seconds: 1, offsetMs: -5000 }
`

describe('a drill on a cluster that runs already', () => {
  let cluster: TestCluster
  let ringset: CommandLine
  const file = (name: string) => join(cluster.directory, 'drills', name)

  beforeAll(async () => {
    const { sets, nodes } = await wholeClusterConfig(['s1'])
    const settings = { cluster: { name: 'attached', faultControl: true }, sets, nodes }
    cluster = await TestCluster.start(settings)
    ringset = new CommandLine(cluster.directory, cluster.directory)
    mkdirSync(join(cluster.directory, 'drills'))
    writeFileSync(file('harsh.yaml'), harsh)
    writeFileSync(file('mild.yaml'), mild)
    writeFileSync(file('lost.yaml'), mild.replace('everything', 'node nobody'))
  })
  afterAll(async () => {
    ringset?.close()
    await cluster?.close()
  })

  /** What a drill must not change: which processes run, and the files of the data folder. */
  const running = () =>
    cluster.cluster.config.nodes.filter(({ id }) => cluster.cluster.isRunning(id))
  const files = () => readdirSync(cluster.directory).sort()

  it('does nothing without consent, or to nodes that are not there, and says what it would do', async () => {
    const pids = cluster.pids()
    const { code, stderr } = await ringset.run('chaos', 'run', file('harsh.yaml'), '--attach')
    expect(code).toBe(2)
    expect(stderr).toContain('error USAGE')
    expect(stderr).toContain('kill leader of s1')
    expect(stderr).toContain('repeat it with --accept-outages')
    const words = ['chaos', 'run', file('lost.yaml'), '--attach', '--accept-outages']
    const lost = await ringset.run(...words)
    expect([lost.code, lost.stderr]).toEqual([1, expect.stringContaining('error CONFIG_INVALID')])
    expect(cluster.pids()).toEqual(pids)
  })

  it('mends everything when it is interrupted at its worst', async () => {
    const before = files()
    const config = readFileSync(join(cluster.directory, 'config.yaml'), 'utf8')
    const words = ['chaos', 'run', file('harsh.yaml'), '--attach', '--accept-outages']
    const drill = ringset.start(...words)
    const hurt = () => Promise.resolve(running().length === 4 && drill.stderr.includes('pause '))
    await eventually('two are dead', 30_000, hurt)
    const second = await ringset.run(...words, '--json')
    expect(JSON.parse(second.stderr.split('\n').at(-2)!).error.code).toBe('ALREADY_RUNNING')
    drill.signal('SIGINT')
    const { code, stderr } = await drill.finished
    expect(code).toBe(3)
    expect(stderr).toContain('CANCELLED')
    expect(running()).toHaveLength(6)
    await cluster.cluster.waitReady({ timeoutMs: 1_000 })
    expect(files()).toEqual(before)
    expect(readFileSync(join(cluster.directory, 'config.yaml'), 'utf8')).toBe(config)
  })

  it('needs no more than an address and the credential for what nodes do themselves', async () => {
    const { controlPort } = cluster.cluster.config.nodes[0]!
    const report = await ringset.json(
      ...['chaos', 'run', file('mild.yaml'), '--attach', '--accept-outages'],
      ...['--connect', `127.0.0.1:${controlPort}`]
    )
    expect(report).toMatchObject({ scenario: 'mild', verdict: 'pass', faults: 2 })
    const logs = cluster.logs(['s1-a', 'a1'], 20_000)
    expect(logs.match(/"clockOffsetMs":-5000/g)).toHaveLength(2)
    expect(logs.match(/"links":0,"clockOffsetMs":0/g)!.length).toBeGreaterThanOrEqual(2)
  })
})
