import { describe, expect, it } from 'vitest'
import { QuietWork } from './quiet-work.ts'

const [one, other] = [{}, {}]

describe('quiet work', () => {
  it('is done a piece at a time, and rests three times as long as a piece took', () => {
    const quiet = new QuietWork()
    expect(quiet.begin(one, 1_000)).toBe(true)
    expect(quiet.begin(other, 1_010)).toBe(false)
    quiet.end(one, 1_020)
    for (const worker of [one, other]) expect(quiet.begin(worker, 1_079)).toBe(false)
    expect(quiet.begin(other, 1_080)).toBe(true)
  })

  it('may be begun anew by whoever does it, and counts from there', () => {
    const quiet = new QuietWork()
    expect(quiet.begin(one, 0)).toBe(true)
    expect(quiet.begin(one, 400)).toBe(true)
    quiet.end(other, 405)
    quiet.end(one, 410)
    expect(quiet.begin(one, 439)).toBe(false)
    expect(quiet.begin(one, 440)).toBe(true)
  })

  it('is not kept from anybody by somebody who is gone, and never rests for long', () => {
    const quiet = new QuietWork()
    quiet.begin(one, 0)
    expect(quiet.begin(other, 999)).toBe(false)
    expect(quiet.begin(other, 1_000)).toBe(true)
    quiet.end(one, 1_001)
    quiet.end(other, 1_900)
    expect(quiet.begin(one, 2_899)).toBe(false)
    expect(quiet.begin(one, 2_900)).toBe(true)
  })
})
