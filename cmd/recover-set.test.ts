import { afterEach, describe, expect, it, vi } from 'vitest'
import { RingsetError } from '../src/base/errors.ts'
import type { SetOperator } from '../src/control/set-operator.ts'
import type { LogEnd, RecoveryPlan } from '../src/control/set-recovery.ts'
import type { SetScene } from './leave-set.ts'
import { type RecoverOptions, recoverSet, recoveryLines } from './recover-set.ts'

const silent = (replica: number): LogEnd => {
  const node = `n${replica}`
  return { replica, node, state: 'unreachable', lastIndex: 0, lastTerm: 0, applied: 0 }
}
const survivor: LogEnd = {
  ...{ replica: 3, node: 'n3', state: 'sound' },
  ...{ lastIndex: 812, lastTerm: 4, applied: 811 }
}
const plan: RecoveryPlan = {
  ...{ set: 's2', lost: false, survivor, others: [silent(1), silent(2)] },
  moves: [
    { slot: 4, from: 's2', to: 's1' },
    { slot: 5, from: 's2', to: 's1' },
    { slot: 9, from: 's2', to: 's3' }
  ]
}

/** Runs the command on a cluster that only notes what is done to it. */
async function ran(options: RecoverOptions, sets = ['s1', 's2'], removed = true) {
  const done: string[] = []
  const operator = {
    table: async () => ({ sets: sets.map(id => ({ id })) }),
    planRecovery: async (id: string, from?: number) => {
      done.push(`plan ${id} ${from}`)
      if (!sets.includes(id)) throw new RingsetError('SET_UNKNOWN')
      return plan
    },
    recover: async () => {
      done.push('recover')
      return { moved: 3, total: 3, aborted: [] }
    },
    drainGateways: async () => done.push('drain'),
    remove: async () => {
      done.push('remove')
      return removed
    }
  } as unknown as SetOperator
  const scene: SetScene = {
    ...{ operator, patient: operator, endProgress: () => {} },
    target: { control: undefined!, local: undefined, config: () => undefined! },
    work: { signal: new AbortController().signal }
  }
  const written = { out: '', err: '' }
  const kept = { out: process.stdout, err: process.stderr }
  for (const name of ['out', 'err'] as const) {
    vi.spyOn(kept[name], 'write').mockImplementation(chunk => {
      written[name] += chunk
      return true
    })
  }
  const code = await recoverSet(scene, 's2', options).then(
    () => 'done',
    (error: RingsetError) => error.code
  )
  vi.restoreAllMocks()
  return { code, done, ...written }
}

afterEach(() => {
  vi.restoreAllMocks()
  process.exitCode = undefined
})

describe('ringset set recover', () => {
  it('changes nothing unless the loss is accepted, and says what it would be', async () => {
    const { code, done, out } = await ran({ from: 3 })
    expect([code, done]).toEqual(['LOSS_NOT_ACCEPTED', ['plan s2 3']])
    expect(out.split('\n').slice(0, 5)).toEqual([
      'set s2 has no leader and cannot have one. With --accept-loss it is given up for good, name and all.',
      '',
      expect.stringMatching(/^replica +node +its log/),
      expect.stringMatching(/^ +1 +n1 +cannot be reached/),
      expect.stringMatching(/^ +2 +n2 +cannot be reached/)
    ])
    expect(out).toMatch(/ 3 +n3 +ends at entry 812 of term 4 +is read/)
    expect(out).toContain(
      '3 slots go to other sets, which read them from replica 3 on n3: 2 to s1, 1 to s3'
    )
    expect(out).toContain('is not sent again')
    expect(out).toMatch(/never come back .*: replica 1 on n1, replica 2 on n2\. Switch/)
  })

  it('is an object for programs, refused as well', async () => {
    const { code, out } = await ran({ json: true })
    expect(code).toBe('LOSS_NOT_ACCEPTED')
    expect(JSON.parse(out)).toEqual({ ...plan, nodes: [] })
  })

  it('gives the set up, moves its slots, sends its clients away and takes it out', async () => {
    const { code, done, out, err } = await ran({ acceptLoss: true, json: true })
    expect([code, done]).toEqual(['done', ['plan s2 undefined', 'recover', 'drain', 'remove']])
    expect(err).toContain('read from replica 3 on n3, ends at entry 812 of term 4')
    expect(JSON.parse(out)).toMatchObject({
      ...{ set: 's2', moved: 3, total: 3, aborted: [], removed: true },
      ...{ survivor: { replica: 3 }, others: [{ replica: 1 }, { replica: 2 }] }
    })
  })

  it('fails when the set is still there at the end', async () => {
    const { out } = await ran({ acceptLoss: true }, undefined, false)
    expect(out).toMatch(/^set s2 is not removed yet, 3 of 3 slots moved/)
    expect(process.exitCode).toBe(1)
  })

  it('knows only sets that are there', async () => {
    expect((await ran({ acceptLoss: true }, ['s1'])).code).toBe('SET_UNKNOWN')
  })

  it('says of a set that is given up that it goes on, and of a doubtful disk what it is', () => {
    const doubtful: LogEnd = { ...survivor, state: 'quarantined' }
    const lines = recoveryLines({ ...plan, lost: true, survivor: doubtful, others: [] }, ['n3'])
    const text = lines.join('\n')
    expect(text).toContain('is given up already')
    expect(text).toContain('812 of term 4, in quarantine')
    expect(text).toContain('nobody is left who could say')
    expect(text).toContain('then these nodes stop: n3')
    expect(text).not.toContain('never come back')
  })
})
