import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { judge } from '../../src/check/check.ts'
import { parseHistory } from '../../src/check/history.ts'
import { Drill, taken } from '../support/drill.ts'

const scenario = `name: short
proves: The drill itself works from its first process to its last.
seconds: 6
workload: { users: 12, messagesPerSecond: 40, backends: 1 }
faults:
  - { do: kill, target: leader of s1, at: 1, seconds: 0.5 }
  - { do: cut, target: minority of s2, at: 1, seconds: 2 }
  - { do: pause, target: follower of s1, at: 3, seconds: 1 }
  - { do: delay, target: node a1, at: 3, seconds: 1 }
  - { do: moveSlots, slots: 2, at: 4 }
`
/** Short, and something is broken until it is mended at the end. */
const brief = `name: brief
proves: A drill can be stopped at any moment.
seconds: 1
workload: { users: 4, messagesPerSecond: 20, backends: 1 }
faults:
  - { do: kill, target: follower of s1, at: 0.1, seconds: 9 }
  - { do: cut, target: leader of s2, at: 0.1, seconds: 9 }
`

/** A node of it is spoiled by others. */
const spoiled = `name: spoiled
proves: What could not be done or undone is no pass.
seconds: 4
workload: { users: 8, messagesPerSecond: 20 }
faults: [{ do: kill, target: node s1-b, at: 2, seconds: 0.5 }]
`

/** When a drill is interrupted. The others take a while: `RINGSET_INTERRUPTS=all npx vitest run test/cluster/chaos.test.ts`. */
const shortPhases = [
  ['while the cluster starts', '  starting\n'],
  ['while a node is dead and another cut off', 'cut ']
] as const
const longPhases = [
  ['in the quiet before the faults', '  load\n'],
  ['while everything is mended', '  healing\n'],
  ['at the judgement', '  judging\n']
] as const
const all = process.env.RINGSET_INTERRUPTS === 'all'
const phases = all ? [...shortPhases, ...longPhases] : shortPhases

describe.skipIf(process.platform !== 'linux')('a chaos drill', () => {
  let drill: Drill
  afterEach(() => rmSync(drill.folder, { recursive: true, force: true }))

  it('loads a cluster, hurts it, judges it, and leaves nothing but its report', async () => {
    drill = new Drill(scenario)
    await drill.said('  load\n')
    // Its users must not wait behind its nodes for a processor.
    const nodes = [...drill.processes().keys()].map(pid => getPriority(pid))
    expect(nodes).toEqual(Array(9).fill(Math.min(getPriority() + 5, 19)))
    const exit = await drill.ended
    const verdict = JSON.parse(drill.output)
    expect(exit, drill.output + drill.progress).toBe(0)
    expect(verdict).toMatchObject({
      scenario: 'short',
      seed: 5,
      verdict: 'pass',
      lost: 0,
      duplicated: 0,
      faults: 5
    })
    expect(verdict.acked).toBeGreaterThan(200)
    expect(verdict.recoveryMs.kill.firstAck.count).toBeGreaterThan(0)
    expect(verdict.recoveryMs.cut.elected.count).toBe(1)
    expect(verdict.operations).toMatchObject([{ action: 'moveSlots', ok: true }])
    expect(readdirSync(drill.report).sort()).toEqual([
      'history.jsonl',
      'logs',
      'report.html',
      'report.json'
    ])
    const history = readFileSync(join(drill.report, 'history.jsonl'))
    const judged = judge(parseHistory([history]), { without: ['presence', 'ownership'] })
    expect(judged.verdict).toBe('pass')
    expect(readdirSync(join(drill.report, 'logs'))).toHaveLength(9)
    expect(readdirSync(drill.temporary)).toEqual([])
    expect(drill.processes()).toEqual(new Map())
  })

  it('tells of a process that died by itself, and judges a cluster that does not come back', async () => {
    drill = new Drill(spoiled)
    await drill.said('  load\n')
    const dead = [...drill.processes()].find(([, line]) => line.includes(' node run s1-b '))!
    process.kill(dead[0], 'SIGKILL')
    const [cluster] = readdirSync(drill.temporary)
    const database = join(drill.temporary, cluster!, 'nodes', 's1-b', 'db', 'level')
    rmSync(database, { recursive: true })
    writeFileSync(database, 'no folder')
    expect(await drill.ended, drill.progress).toBe(1)
    const report = JSON.parse(readFileSync(join(drill.report, 'report.json'), 'utf8'))
    expect(report).toMatchObject({ verdict: 'fail', messages: { lost: 0 } })
    const checks = report.checks as { name: string; ok: boolean; examples: string[] }[]
    const carriedOut = checks.find(({ name }) => name === 'carried-out')
    expect(carriedOut).toMatchObject({
      ok: false,
      examples: [
        expect.stringMatching(/^kill: NOT_RUNNING, /),
        expect.stringMatching(/^it is not whole again: NODE_FAILED, node s1-b /)
      ]
    })
    expect(readFileSync(join(drill.report, 'history.jsonl'), 'utf8')).toContain('"receive"')
    expect(readdirSync(drill.temporary)).toEqual([])
    expect(drill.processes()).toEqual(new Map())
  })

  it.each(phases)('leaves nothing behind when it is interrupted %s', async (_when, text) => {
    drill = new Drill(brief)
    await drill.said(text)
    const ports = text.includes('starting') ? [] : drill.ports()
    drill.interrupt()
    const exit = await drill.ended
    // Once it judges, it may be through before it hears of the interruption.
    if (!text.includes('judging')) {
      expect(exit).not.toBe(0)
      expect(drill.progress).toContain('CANCELLED')
      expect(ports.length).toBe(text.includes('starting') ? 0 : 22)
    }
    expect(readdirSync(drill.temporary)).toEqual([])
    expect(drill.processes()).toEqual(new Map())
    expect(await taken(ports)).toEqual([])
  })
})
