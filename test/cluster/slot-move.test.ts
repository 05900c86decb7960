import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RingsetError } from '../../src/base/errors.ts'
import { HistoryRecorder, judgementText } from '../../src/chaos/history-recorder.ts'
import { Workload } from '../../src/chaos/workload.ts'
import type { ClusterStatus } from '../../src/control/cluster-status.ts'
import { type MoveReport, type PlannedMove, SlotOperator } from '../../src/control/slot-operator.ts'
import { compileTable } from '../../src/table/compile-table.ts'
import { ownersOf } from '../../src/table/runs.ts'
import { CommandLine } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { TestCluster } from '../support/test-cluster.ts'

const slots = 12
/** Of the other set: they stay where they are and talk to those who move. */
const neighbours = 10
const messagesPerSecond = 200

describe('slots of users who write to each other', () => {
  let cluster: TestCluster
  let ringset: CommandLine
  let history: HistoryRecorder
  let workload: Workload
  /** Slots of s1 with a user each, as the command line takes them. */
  let movers: number[]
  let list: string

  beforeAll(async () => {
    cluster = await TestCluster.start()
    ringset = new CommandLine(cluster.directory, cluster.directory)
    const table = compileTable(await cluster.newestTable())
    const bySlot = new Map<number, string>()
    const others: string[] = []
    for (let n = 1; bySlot.size < slots || others.length < neighbours; n++) {
      const uid = `mover-${n}`
      const slot = table.slotOf(uid)
      if (table.owner(slot)!.setId === 's2') others.push(uid)
      else if (bySlot.size < slots && !bySlot.has(slot)) bySlot.set(slot, uid)
    }
    movers = [...bySlot.keys()].sort((a, b) => a - b)
    list = movers.join(',')
    const uids = [...bySlot.values(), ...others.slice(0, neighbours)]
    history = new HistoryRecorder()
    workload = new Workload({
      config: cluster.cluster.config,
      secret: cluster.secret,
      table,
      history,
      seed: 1,
      plan: {
        users: uids.length,
        tenants: 0,
        secondDevices: 0.2,
        messagesPerSecond,
        reconnectsPerSecond: 0,
        backends: 1,
        backendOperationsPerSecond: 10
      },
      uids
    })
    await workload.connect()
    workload.start()
  })
  afterAll(async () => {
    await workload?.close()
    ringset?.close()
    await cluster?.close()
  })

  async function ownersNow(): Promise<Set<string | undefined>> {
    const owners = ownersOf((await cluster.newestTable()).runs)
    return new Set(movers.map(slot => owners[slot]))
  }

  /** Moves them all, however often a move is called off on the way, and kills a leader once when some have arrived. */
  async function moveAll(to: string, victim: string): Promise<string> {
    const startMs = performance.now()
    const before = workload.sent
    const called: number[] = []
    let killed = false
    for (;;) {
      const command = ringset.start('slot', 'move', list, to, '--json')
      if (!killed) {
        await eventually('some have arrived', 30_000, async () => {
          const { length } = (await cluster.status()).moves
          return length > 0 && length <= slots - 2
        })
        await cluster.killLeader(victim)
        killed = true
      }
      const { code, stdout, stderr } = await command.finished
      expect([0, 1], stderr).toContain(code)
      const report = JSON.parse(stdout) as MoveReport
      expect(report.moved + report.aborted.length).toBe(report.total)
      expect(code).toBe(report.aborted.length > 0 ? 1 : 0)
      called.push(report.aborted.length)
      if (report.aborted.length === 0) break
    }
    expect(await ownersNow()).toEqual(new Set([to]))
    await cluster.startAll()
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(1)
    return `to ${to}, leader of ${victim} killed: ${seconds} s, called off ${called.join(' + ')}, longest ${longestMs(before)} ms`
  }

  /** From when a message was due to its acknowledgement, of those since the message of a number. */
  function longestMs(first: number): number {
    const took = workload
      .samples()
      .slice(first)
      .map(({ dueMs, ackedMs }) => ackedMs - dueMs)
    return Math.round(took.reduce((most, ms) => Math.max(most, ms), 0))
  }

  it('are planned, and called off, without any effect on them', async () => {
    const [planned, nowhere, none] = await Promise.all([
      ringset.json<{ moves: PlannedMove[] }>('slot', 'move', list, 's2', '--dry-run'),
      ringset.run('slot', 'move', list, 's9', '--json'),
      ringset.json('slot', 'abort')
    ])
    expect(planned.moves).toEqual(movers.map(slot => ({ slot, from: 's1', to: 's2' })))
    expect([nowhere.code, JSON.parse(nowhere.stderr).error.code]).toEqual([1, 'SET_UNKNOWN'])
    expect(none).toEqual({ aborted: [], moved: [] })
    expect((await cluster.newestTable()).moves).toEqual([])

    const begun = await ringset.json<MoveReport>('slot', 'move', list, 's2', '--no-wait')
    expect(begun).toMatchObject({ moved: 0, total: slots, aborted: [] })
    const operator = new SlotOperator(cluster.cluster.control)
    const elsewhere = operator.plan(movers, 's1').catch((error: RingsetError) => error.code)
    expect(await elsewhere).toBe('SLOT_MOVING')
    const { aborted, moved } = await operator.abort()
    const table = await cluster.newestTable()
    expect(table.moves).toEqual([])
    expect(aborted.length).toBeGreaterThan(0)
    const owners = ownersOf(table.runs)
    expect(movers.filter(slot => owners[slot] === 's1')).toEqual(aborted)
    for (const slot of moved) expect(owners[slot]).toBe('s2')
  })

  it('go on their way without the command, too', async () => {
    const command = ringset.start('slot', 'move', list, 's2')
    await eventually('the command waits', 30_000, () => / slots moved/.test(command.stderr))
    command.signal('SIGINT')
    const { code, stderr } = await command.finished
    expect(code, stderr).toBe(1)
    expect(stderr).toMatch(/those on their way go on/)
    await eventually('all have arrived', 30_000, async () => {
      const owners = await ownersNow()
      return owners.size === 1 && owners.has('s2')
    })
  })

  it('arrive whichever of the arbiters is frozen', async () => {
    const legs = [['a1', 's1'] as const, ['a2', 's2'] as const, ['a3', 's1'] as const]
    const before = workload.sent
    for (const [arbiter, to] of legs) {
      cluster.cluster.pauseNode(arbiter)
      await eventually(`they set out without ${arbiter}`, 20_000, async () => {
        return (await ringset.run('slot', 'move', list, to, '--no-wait', '--json')).code === 0
      })
      await eventually(`they arrive without ${arbiter}`, 20_000, async () => {
        const owners = await ownersNow()
        return owners.size === 1 && owners.has(to)
      })
      cluster.cluster.resumeNode(arbiter)
      await cluster.cluster.waitReady()
    }
    const longest = longestMs(before)
    console.log(`  an arbiter frozen, each of the three: longest ${longest} ms`)
    // Five seconds are what a slot stays sealed when nobody hears that it has arrived.
    expect(longest).toBeLessThan(4_000)
  })

  it('go back and forth while leaders die, and no message is lost, doubled or late in its turn', async () => {
    const legs = [await moveAll('s2', 's2'), await moveAll('s1', 's2')]
    await workload.end()
    expect([...workload.errors]).toEqual([])
    expect(await workload.settle(30_000)).toEqual([])
    const judgement = history.judge(['presence', 'ownership', 'epochs', 'terms', 'leaders'])
    expect(judgement.verdict, judgementText(judgement)).toBe('pass')
    const status = await ringset.json<ClusterStatus>('status')
    expect(status.moves).toEqual([])
    legs.push(`${workload.acked} acked, longest ${longestMs(0)} ms`)
    console.log(legs.map(line => `  ${line}`).join('\n'))
  })
})
