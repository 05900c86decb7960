import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { emptyTableView } from '../table/compile-table.ts'
import { TableCarrier } from './carrier.ts'

describe('TableCarrier', () => {
  it('attaches nothing before the other end has shown an epoch, and nothing without a table', () => {
    const carrier = new TableCarrier('stamp')
    expect(carrier.wants(5)).toBe(false)
    carrier.heard(0)
    expect(carrier.wants(0)).toBe(false)
    expect(carrier.wants(5)).toBe(true)
  })

  it('attaches to the next packet only, and again for the next epoch', () => {
    const carrier = new TableCarrier('stamp')
    carrier.heard(3)
    expect(carrier.wants(4)).toBe(true)
    carrier.attached(4)
    expect(carrier.wants(4)).toBe(false)
    carrier.heard(3)
    expect(carrier.wants(4)).toBe(false)
    expect(carrier.wants(5)).toBe(true)
  })

  it('attaches nothing to who is level or ahead, and believes the newest epoch shown', () => {
    const carrier = new TableCarrier('stamp')
    carrier.heard(4)
    expect(carrier.wants(4)).toBe(false)
    carrier.heard(2)
    expect(carrier.wants(4)).toBe(false)
    expect(carrier.wants(3)).toBe(false)
  })

  it('attaches once more when asked', () => {
    const carrier = new TableCarrier('stamp')
    carrier.heard(1)
    carrier.attached(4)
    carrier.asked()
    expect(carrier.wants(4)).toBe(true)
    carrier.attached(4)
    expect(carrier.wants(4)).toBe(false)
  })

  it('attaches at most once per epoch, whatever is heard and sent in which order', () => {
    const step = fc.oneof(
      fc.record({ heard: fc.nat(10) }),
      fc.record({ adopt: fc.constant(true) }),
      fc.record({ send: fc.constant(true) })
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const carrier = new TableCarrier('stamp')
        const attached: number[] = []
        let own = 0
        let shown = -1
        for (const action of steps) {
          if ('heard' in action) {
            carrier.heard(action.heard)
            shown = Math.max(shown, action.heard)
          } else if ('adopt' in action) own++
          else if (carrier.wants(own)) {
            expect(shown).toBeGreaterThanOrEqual(0)
            expect(shown).toBeLessThan(own)
            attached.push(own)
            carrier.attached(own)
          } else if (shown >= 0 && shown < own) expect(attached).toContain(own)
        }
        expect(new Set(attached).size).toBe(attached.length)
      })
    )
  })

  it('attaches to every packet in the mode that always carries', () => {
    const carrier = new TableCarrier('always')
    expect(carrier.wants(0)).toBe(false)
    for (let i = 0; i < 3; i++) {
      expect(carrier.wants(4)).toBe(true)
      carrier.attached(4)
      carrier.heard(4)
    }
  })

  it('pulls once a second from who is ahead, and never from who is not', () => {
    const carrier = new TableCarrier('stamp')
    expect(carrier.pulls(0, 0)).toBe(false)
    carrier.heard(5)
    expect(carrier.pulls(5, 0)).toBe(false)
    expect(carrier.pulls(4, 100)).toBe(true)
    expect(carrier.pulls(4, 1_099)).toBe(false)
    expect(carrier.pulls(4, 1_100)).toBe(true)
  })
})

describe('what a link carries', () => {
  const whole = Buffer.from('whole')
  const delta = Buffer.from('delta')
  const view = { ...emptyTableView, epoch: 7, encoded: whole }
  const keeper = { updateFrom: (epoch: number) => (epoch === 5 ? delta : whole) }

  it('is an update from the epoch that the other end has shown, once', () => {
    const carrier = new TableCarrier('stamp', keeper)
    expect(carrier.attachment(view)).toBeUndefined()
    carrier.heard(5)
    expect(carrier.attachment(view)).toBe(delta)
    carrier.attached(7)
    expect(carrier.attachment(view)).toBeUndefined()
  })

  it('is the whole table for who asks, since a delta may have been of no use', () => {
    const carrier = new TableCarrier('stamp', keeper)
    carrier.heard(5)
    carrier.attached(7)
    carrier.asked()
    expect(carrier.attachment(view)).toBe(whole)
  })

  it('is the whole table in every packet when it is always carried', () => {
    const carrier = new TableCarrier('always', keeper)
    carrier.heard(5)
    carrier.attached(7)
    expect(carrier.attachment(view)).toBe(whole)
  })
})
