import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import type { Disturbances } from './disturbances.ts'
import { LeasedFaults } from './leased-faults.ts'

const open: LeasedFaults[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.end()
})

/** @param answers how each node answers an order. */
function leased(answers: Readonly<Record<string, () => Promise<void>>>) {
  const hand = new LeasedFaults({ node: id => ({ setFaults: () => answers[id]!() }) })
  open.push(hand)
  return hand
}

function of(...nodes: string[]): Disturbances {
  return new Map(nodes.map(id => [id, { links: [], disk: undefined, clockOffsetMs: 0 }]))
}

describe('disturbances that nodes do', () => {
  it('are in force once the last node that answers has, not when others are given up', async () => {
    let giveUp = (): void => {}
    const gone = new Promise<void>((_, reject) => {
      giveUp = () => reject(new Error('no answer'))
    })
    const hand = leased({ a: () => Promise.resolve(), b: () => gone })
    const fromMs = performance.now()
    const done = hand.do(of('a', 'b'))
    await pause(20)
    const givenUpMs = performance.now()
    giveUp()
    const inForceMs = await done
    expect(inForceMs).toBeGreaterThanOrEqual(fromMs)
    expect(inForceMs).toBeLessThan(givenUpMs)
  })

  it('are not where nobody answers', async () => {
    const hand = leased({ a: () => Promise.reject(new Error('no answer')) })
    expect(await hand.do(of('a'))).toBe(0)
  })
})
