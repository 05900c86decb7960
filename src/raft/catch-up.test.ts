import { describe, expect, it } from 'vitest'
import { CatchUps } from './catch-up.ts'

const halfAMinuteTicks = 1_500

function pass(catchUps: CatchUps, ticks: number): void {
  for (let i = 0; i < ticks; i++) catchUps.tick()
}

describe('CatchUps', () => {
  it('needs the log from where the furthest behind is, until that has what there was', () => {
    const match = new Map([
      [2, 0],
      [3, 0]
    ])
    const catchUps = new CatchUps(peer => match.get(peer)!)
    expect(catchUps.neededFrom()).toBe(Number.POSITIVE_INFINITY)
    catchUps.begin(2, 100, 500)
    catchUps.begin(3, 200, 500)
    catchUps.tick()
    expect(catchUps.neededFrom()).toBe(100)
    match.set(2, 300)
    catchUps.tick()
    expect(catchUps.neededFrom()).toBe(200)
    match.set(3, 500)
    catchUps.tick()
    expect(catchUps.neededFrom()).toBe(300)
    match.set(2, 600)
    catchUps.tick()
    expect(catchUps.neededFrom()).toBe(Number.POSITIVE_INFINITY)
  })

  it('waits half a minute for one that gets no further, and as long as it takes for one that does', () => {
    let match = 0
    const catchUps = new CatchUps(() => match)
    catchUps.begin(2, 100, 500)
    pass(catchUps, halfAMinuteTicks)
    expect(catchUps.neededFrom()).toBe(100)
    match = 101
    pass(catchUps, halfAMinuteTicks)
    expect(catchUps.neededFrom()).toBe(101)
    pass(catchUps, 2)
    expect(catchUps.neededFrom()).toBe(Number.POSITIVE_INFINITY)
  })

  it('takes no loss of memory for progress backwards', () => {
    let match = 300
    const catchUps = new CatchUps(() => match)
    catchUps.begin(2, 100, 500)
    catchUps.tick()
    match = 0
    catchUps.tick()
    expect(catchUps.neededFrom()).toBe(300)
  })
})
