import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HistoryRecorder, judgementText } from '../../src/chaos/history-recorder.ts'
import { Workload } from '../../src/chaos/workload.ts'
import type { ClusterStatus } from '../../src/control/cluster-status.ts'
import type { PlannedMove } from '../../src/control/slot-operator.ts'
import { compileTable } from '../../src/table/compile-table.ts'
import { targetOwners } from '../../src/table/ring.ts'
import { ownersOf } from '../../src/table/runs.ts'
import { CommandLine } from '../support/command-line.ts'
import { TestCluster } from '../support/test-cluster.ts'

const slotCount = 64
const users = 20
const messagesPerSecond = 60
const set = (id: string) => ({ id, weight: 1 })

interface Report {
  readonly set: string
  readonly moved: number
  readonly total: number
  readonly seconds: number
}

describe('sets of a cluster that is used', () => {
  let cluster: TestCluster
  let ringset: CommandLine
  let history: HistoryRecorder
  let workload: Workload

  beforeAll(async () => {
    cluster = await TestCluster.start({ cluster: { name: 'sets', slotCount } })
    ringset = new CommandLine(cluster.directory, cluster.directory)
    history = new HistoryRecorder()
    workload = new Workload({
      config: cluster.cluster.config,
      secret: cluster.secret,
      table: compileTable(await cluster.newestTable()),
      history,
      seed: 1,
      plan: {
        users,
        tenants: 0,
        secondDevices: 0.2,
        messagesPerSecond,
        reconnectsPerSecond: 1,
        backends: 1,
        backendOperationsPerSecond: 10
      }
    })
    await workload.connect()
    workload.start()
  })
  afterAll(async () => {
    await workload?.close()
    ringset?.close()
    await cluster?.close()
  })

  async function ownersNow(): Promise<string[]> {
    return ownersOf((await cluster.newestTable()).runs)
  }

  /** Runs a command, breaks it off once slots have come or gone, and runs it again. */
  async function inTwo(signal: NodeJS.Signals, ...words: string[]): Promise<Report> {
    const first = ringset.start('set', ...words)
    await expect
      .poll(() => first.stderr, { timeout: 60_000 })
      .toMatch(/[1-9]\d* of \d+ slots moved/)
    first.signal(signal)
    expect((await first.finished).code).not.toBe(0)
    return ringset.json<Report>('set', ...words)
  }

  async function codeOf(...words: string[]): Promise<string> {
    const { stderr } = await ringset.run('set', ...words, '--json')
    return JSON.parse(stderr).error.code
  }

  it('are three after `set add`, also when the command is broken off', async () => {
    const before = await ownersNow()
    const plan = await ringset.json<{ set: string; moves: PlannedMove[] }>(
      'set',
      'add',
      '--dry-run'
    )
    expect(await ownersNow()).toEqual(before)
    const goal = targetOwners(slotCount, ['s1', 's2', 's3'].map(set))
    const due = goal.flatMap((to, slot) => (to === 's3' ? [{ slot, from: before[slot]!, to }] : []))
    expect(plan).toMatchObject({ set: 's3', moves: due })

    const { set: id, moved, total } = await inTwo('SIGINT', 'add')
    expect(id).toBe('s3')
    expect(moved).toBe(total)
    expect(await ownersNow()).toEqual(goal)
    cluster.cluster.refresh()
    const status = await ringset.json<ClusterStatus>('status')
    const added = status.sets.find(view => view.id === 's3')!
    expect(added).toMatchObject({ state: 'active', slots: due.length })
    const again = await ringset.json<Report>('set', 'add', 's3')
    expect(again).toMatchObject({ set: 's3', moved: 0, total: 0 })
    const connections = added.transfers.reduce((sum, one) => sum + one.connections, 0)
    expect(connections).toBeGreaterThan(0)
  })

  it('are two again after `set remove`, whose name nobody gets any more', async () => {
    expect(await codeOf('remove', 's9')).toBe('SET_UNKNOWN')
    const nodes = cluster.routerNodes('s3')
    expect(nodes).toHaveLength(3)
    const report = await inTwo('SIGKILL', 'remove', 's3')
    expect(report).toMatchObject({ set: 's3', removed: true })
    expect(await ownersNow()).toEqual(targetOwners(slotCount, ['s1', 's2'].map(set)))
    expect((await cluster.newestTable()).sets.map(({ id }) => id)).toEqual(['s1', 's2'])
    for (const id of nodes) expect(cluster.cluster.isRunning(id)).toBe(false)
    cluster.cluster.refresh()
    expect(cluster.setIds).toEqual(['s1', 's2'])
    await cluster.cluster.waitReady()
    expect([await codeOf('add', 's3'), await codeOf('remove', 's3')]).toEqual([
      'SET_USED',
      'SET_UNKNOWN'
    ])
    expect(await ringset.json('set', 'add', '--dry-run')).toMatchObject({ set: 's4' })
  })

  it('come and go, and no message is lost, doubled or out of order', async () => {
    await workload.end()
    expect([...workload.errors]).toEqual([])
    expect(await workload.settle(30_000)).toEqual([])
    const judgement = history.judge(['presence', 'ownership', 'epochs', 'terms', 'leaders'])
    expect(judgement.verdict, judgementText(judgement)).toBe('pass')
    const took = workload.samples().map(({ dueMs, ackedMs }) => ackedMs - dueMs)
    const longestMs = Math.round(took.reduce((most, ms) => Math.max(most, ms), 0))
    console.log(`  ${workload.acked} acked, longest ${longestMs} ms`)
  })
})
