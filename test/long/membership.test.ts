import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { judgementText, onlyMessages } from '../../src/chaos/history-recorder.ts'
import { dataFolder } from '../../src/config/data-folder.ts'
import type { ClusterConfigInput } from '../../src/config/schema.ts'
import type { ChangeReport, TransferReport } from '../../src/control/replica-operator.ts'
import { freePorts } from '../../src/launch/free-ports.ts'
import { ChatWorkload, conversations } from '../support/chat-workload.ts'
import { eventually } from '../support/eventually.ts'
import { withOneSet } from '../support/one-set.ts'

const lanes = 12
const newcomer = 4

describe('a set under traffic', () => {
  const set = withOneSet()

  /** Puts another node with a router of the set into the configuration, as an operator does, and starts it. */
  async function startAnother(id: string): Promise<void> {
    const { configFile } = dataFolder(set.cluster.directory)
    const config = JSON.parse(readFileSync(configFile, 'utf8')) as ClusterConfigInput
    const [peerPort, controlPort] = (await freePorts(2)) as [number, number]
    config.nodes.push({
      id,
      peerPort,
      controlPort,
      roles: [{ role: 'router', set: 's1', replica: newcomer, join: true }]
    })
    writeFileSync(configFile, JSON.stringify(config))
    await set.ringset.json('node', 'start', id)
  }

  /** Roles by number, as `ringset status` shows them. */
  async function roles(): Promise<Record<number, string>> {
    const { sets } = await set.ringset.json<{
      sets: { router: { replicas: { id: number; role: string }[] } }[]
    }>('status')
    return Object.fromEntries(sets[0]!.router.replicas.map(({ id, role }) => [id, role]))
  }

  async function refusalOf(...words: string[]): Promise<string> {
    const { code, stderr } = await set.ringset.run(...words, '--json')
    expect(code, stderr).toBe(1)
    return (JSON.parse(stderr) as { error: { code: string } }).error.code
  }

  async function changeMembers(
    chat: ChatWorkload,
    more: (what: string) => Promise<unknown>
  ): Promise<void> {
    const first = Number(
      Object.entries(await roles()).find(([, role]) => role === 'leader')?.[0] ?? 0
    )
    const firstNode = await set.cluster.leader('s1')
    await more('at the start')

    await startAnother('s1-new')
    expect((await roles())[newcomer]).toBe('waiting')
    expect(await refusalOf('router', 'promote', 's1', String(newcomer))).toBe('REPLICA_UNKNOWN')
    const added = await set.ringset.json<ChangeReport>('router', 'add', 's1', '--node', 's1-new')
    expect(added).toMatchObject({ replica: newcomer, changed: true, learners: [newcomer] })
    expect(await refusalOf('router', 'transfer', 's1', '--to', String(newcomer))).toBe('NOT_VOTER')
    await eventually('the learner has caught up', 30_000, async () => {
      const { code } = await set.ringset.run('router', 'promote', 's1', String(newcomer))
      return code === 0
    })
    chat.history.fault(`promote ${newcomer}`)
    await more('with four voters')

    const handOver = await set.ringset.json<TransferReport>(
      ...['router', 'transfer', 's1', '--to', String(newcomer)]
    )
    expect(handOver).toMatchObject({ from: { replica: first }, to: { node: 's1-new' } })
    console.log(`  hand-over: ${handOver.gapMs.toFixed(1)} ms`)
    await more('under the new leader')

    const removed = await set.ringset.json<ChangeReport>('router', 'remove', 's1', String(first))
    expect(removed).toMatchObject({ changed: true, learners: [], handOver: null })
    expect(removed.voters).toEqual([1, 2, 3, newcomer].filter(id => id !== first))
    await eventually('the removed replica knows', 10_000, async () => {
      return (await roles())[first] === 'removed'
    })
    expect(await refusalOf('router', 'add', 's1', '--node', firstNode)).toBe('REPLICA_USED')
    await more('after the removal')

    expect((await roles())[newcomer]).toBe('leader')
    await set.ringset.json('node', 'kill', 's1-new')
    chat.history.fault('kill s1-new')
    await more('though one of three is dead')
    expect((await roles())[first]).toBe('removed')
    const [left] = removed.voters.filter(id => id !== newcomer)
    expect(await refusalOf('router', 'remove', 's1', String(left))).toBe('QUORUM_AT_RISK')
    await set.ringset.json('node', 'start', 's1-new')
    await more('when it is back')
  }

  it('gets a fourth replica, is led by it, and lets an old one go; nothing is lost', async () => {
    const users = await set.cluster.usersOf('s1', 10)
    const chat = new ChatWorkload(set.cluster)
    await chat.connect(users)
    let over = false
    const run = chat.run(conversations(users), lanes, () => !over)
    const more = (what: string): Promise<unknown> => {
      const goal = chat.acked + 100
      return eventually(`messages go on ${what}`, 30_000, () => chat.acked >= goal)
    }
    try {
      await changeMembers(chat, more)
    } finally {
      over = true
      await run
    }
    expect(chat.errors).toEqual([])
    await chat.settled()
    expect(await chat.differences(set.cluster.logicClient())).toEqual([])
    const judgement = chat.history.judge(onlyMessages)
    expect(judgement.verdict, judgementText(judgement)).toBe('pass')
    console.log(`${judgementText(judgement)}\n  ${chat.summary()}`)
  })
})
