import { describe, expect, it } from 'vitest'
import { twoSetTable } from '../../test/support/router-table.ts'
import { LeaderHints } from './leader-hints.ts'

const table = twoSetTable()

describe('leader hints', () => {
  it('try every replica in turn while nobody is known to lead', () => {
    const hints = new LeaderHints()
    const tried = [1, 2, 3, 4].map(() => {
      const to = hints.endpoint(table, 's2')!
      hints.failed(table, to)
      return to
    })
    expect(tried).toEqual(['router/s2/1', 'router/s2/2', 'router/s2/3', 'router/s2/1'])
  })

  it('pass nobody over, however many requests fail at one replica', () => {
    for (let together = 1; together <= 6; together++) {
      const hints = new LeaderHints()
      const to = hints.endpoint(table, 's2')!
      for (let i = 0; i < together; i++) hints.failed(table, to)
      expect(hints.endpoint(table, 's2')).toBe('router/s2/2')
    }
  })

  it('keep a leader of whom another answer has told since', () => {
    const hints = new LeaderHints()
    const to = hints.endpoint(table, 's2')!
    hints.note(table, { setId: 's2', replicaId: 3, term: 2 })
    hints.failed(table, to)
    expect(hints.endpoint(table, 's2')).toBe('router/s2/3')
    hints.failed(table, 'router/s2/3')
    expect(hints.endpoint(table, 's2')).not.toBe('router/s2/3')
  })
})
