import { describe, expect, it } from 'vitest'
import { RingsetError } from '../base/errors.ts'
import { mustLetBeDisturbed, withRunningCluster } from './attach.ts'
import { consentText, damaging, disturbing, needProcesses, needThrowAway } from './attach-rules.ts'
import { parseScenario, type Scenario, shippedScenarios } from './scenario.ts'

const scenarioOf = (...faults: string[]): Scenario => {
  const lines = faults.map(fault => `  - { ${fault}, at: 1 }`)
  return parseScenario(`name: a\nproves: it does something\nfaults:\n${lines.join('\n')}`, 'a')
}
const kill = 'do: kill, target: everything'
const cut = 'do: cut, target: zone a'

describe('a scenario for a cluster that runs already', () => {
  it('says what it needs', () => {
    const all = scenarioOf(
      kill,
      kill,
      cut,
      'do: slowDisk, target: zone a',
      'do: diskFull, target: zone a',
      'do: wipe, target: zone a',
      'do: roll, target: zone a',
      'do: moveSlots',
      'do: addSet',
      'do: nearlyFullDisk, target: zone a'
    )
    expect(needThrowAway(all)).toEqual(['addSet', 'nearlyFullDisk'])
    expect(needProcesses(all)).toEqual(['kill', 'diskFull', 'wipe', 'roll', 'nearlyFullDisk'])
    expect(disturbing(all)).toEqual(['cut', 'slowDisk', 'diskFull'])
    expect(damaging(all)).toEqual(['wipe'])
  })

  it('tells what it would do', () => {
    const link = 'do: delay, from: leader of s1, to: clients'
    const text = consentText(scenarioOf(kill, link, 'do: moveSlots'), 33, 'cluster c')
    expect(text).toContain('cluster c on purpose, for 33 s')
    expect(text).toContain('kill everything at 1 s; delay leader of s1 – clients at 1 s; moveSlots')
    expect(text).toContain('40 users called ringset-probe-… write 100 messages a second')
    expect(text).not.toContain('damages')
    expect(consentText(scenarioOf('do: wipe, target: zone a'), 9, 'c')).toContain('wipe damages')
  })

  it('is refused before anything is asked when it can never be done', async () => {
    const attach = { data: '/nowhere', acceptOutages: true, acceptDamage: true }
    const start = (scenario: Scenario, connect?: string) =>
      withRunningCluster({ scenario, seconds: 1, attach: { ...attach, connect } }, async () => {})
    const unable = { code: 'DRILL_UNABLE' }
    await expect(start(scenarioOf('do: addSet'))).rejects.toMatchObject(unable)
    await expect(start(scenarioOf(kill), '127.0.0.1:1')).rejects.toMatchObject(unable)
    await expect(start(scenarioOf(kill))).rejects.toMatchObject({ code: 'NOT_RUNNING' })
  })

  it('is refused with the nodes that do not let themselves be disturbed', async () => {
    const config = { nodes: ['n1', 'n2', 'n3'].map(id => ({ id })) }
    const cluster = (off: readonly string[], code: 'FAULT_CONTROL_OFF' | 'UNREACHABLE') => ({
      config,
      node: (id: string) => ({
        setFaults: async () => {
          if (off.includes(id)) throw new RingsetError(code)
        }
      })
    })
    const scenario = scenarioOf(kill, cut)
    await mustLetBeDisturbed(scenario, cluster([], 'FAULT_CONTROL_OFF'))
    const some = mustLetBeDisturbed(scenario, cluster(['n1', 'n3'], 'FAULT_CONTROL_OFF'))
    await expect(some).rejects.toMatchObject({ code: 'FAULT_CONTROL_OFF' })
    await expect(some).rejects.toThrow('`cluster.faultControl` for cut, and it is off at n1, n3')
    const silent = mustLetBeDisturbed(scenario, cluster(['n2'], 'UNREACHABLE'))
    await expect(silent).rejects.toMatchObject({ code: 'UNREACHABLE' })
  })

  it('is known for each that comes with the program', () => {
    const free = shippedScenarios().filter(one => needThrowAway(one).length === 0)
    expect(free.map(({ name }) => name)).toContain('everything-at-once')
    expect(free.map(({ name }) => name)).not.toContain('add-set-under-load')
  })
})
