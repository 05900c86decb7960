import { readdirSync, rmSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { Prng } from '../../src/base/prng.ts'
import { isLinkAction, isOperation, shippedScenarios } from '../../src/chaos/scenario.ts'
import { Drill, taken } from '../support/drill.ts'
import { makesNamespaces, namespaceTraces } from '../support/namespaces.ts'

const count = Number(process.env.RINGSET_INTERRUPTIONS ?? 20)
const seed = Number(process.env.RINGSET_SEED ?? Date.now() % 1_000_000)
/** From the first process to somewhere in the load. */
const latestMs = 25_000

/** What the kernel of a small machine can do in a namespace of its own. */
function fitsNamespaces({ faults }: ReturnType<typeof shippedScenarios>[number]): boolean {
  return faults.every(fault => {
    return fault.do === 'cut' || !(isLinkAction(fault.do) || isOperation(fault.do))
  })
}

/** `RINGSET_INTERRUPTIONS` drills (20), drawn from `RINGSET_SEED`, each interrupted at a moment that is drawn as well. */
function draw() {
  const random = new Prng(seed, 'interruptions')
  const scenarios = shippedScenarios().filter(({ byNameOnly }) => !byNameOnly)
  return Array.from({ length: count }, () => {
    const scenario = scenarios[random.below(scenarios.length)]!
    const atMs = random.below(latestMs)
    const netns = random.float() < 0.3 && fitsNamespaces(scenario) && makesNamespaces()
    return { name: scenario.name, atMs, netns }
  })
}

describe.skipIf(process.platform !== 'linux')(`a drill that is interrupted (${seed})`, () => {
  let drill: Drill
  afterEach(() => rmSync(drill.folder, { recursive: true, force: true }))

  it.each(draw())(
    'leaves nothing of $name behind after $atMs ms (--netns: $netns)',
    async ({ name, atMs, netns }) => {
      drill = new Drill(name, ...(netns ? ['--netns'] : []))
      // The moment is what is tested, whatever the drill is at.
      await pause(atMs)
      const ports = drill.ports()
      drill.interrupt()
      const exit = await drill.ended
      expect(exit, drill.progress).not.toBe(0)
      // Before it is loaded nobody hears the signal but the system.
      if (drill.progress !== '') expect(drill.progress).toContain('CANCELLED')
      expect(readdirSync(drill.temporary)).toEqual([])
      expect(drill.processes()).toEqual(new Map())
      if (!netns) expect(await taken(ports)).toEqual([])
      if (netns) expect(namespaceTraces()).toEqual([])
    }
  )
})
