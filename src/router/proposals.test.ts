import { describe, expect, it } from 'vitest'
import { FakeRoleEnv } from '../../test/support/fake-role-env.ts'
import { oneSetTable } from '../../test/support/router-table.ts'
import { ByteReader } from '../base/bytes.ts'
import type { Refusal } from '../raft/raft-api.ts'
import type { ReplicaApi } from '../raft/replica-api.ts'
import { compileTable, emptyTableView } from '../table/compile-table.ts'
import type { SlotRange } from '../table/table.ts'
import { readEntryHeader } from './commands.ts'
import { defaultRouterLimits } from './limits.ts'
import { writeRouteEpoch } from './move-commands.ts'
import { Proposals } from './proposals.ts'

/** The replica refuses the first entries as `refusals` say. */
function bench(
  refusals: readonly (Refusal | undefined)[],
  entryCommands: number,
  tenants: readonly SlotRange[] = [],
  gatherMs = 0
) {
  const env = new FakeRoleEnv('router/s1/1')
  let view = oneSetTable()
  env.view = () => view
  const left = [...refusals]
  const logged: Buffer[] = []
  const replica = {
    appending: () => false,
    propose: (data: Buffer) => {
      const refusal = left.shift()
      if (refusal === undefined) logged.push(data)
      return refusal
    }
  } as unknown as ReplicaApi
  const proposals = new Proposals({
    env,
    replica,
    limits: { ...defaultRouterLimits, entryCommands, gatherMs },
    tenantsToTell: () => tenants,
    settle: () => {}
  })
  const results: unknown[] = []
  const propose = (epoch: number): void => {
    writeRouteEpoch(proposals.open()!, epoch)
    proposals.own(result => results.push(result))
  }
  const headers = () => logged.map(data => readEntryHeader(new ByteReader(data)))
  return {
    ...{ env, proposals, logged, results, propose, headers },
    knowNoTable: () => {
      view = emptyTableView
    },
    knowTable: () => {
      view = compileTable(oneSetTable().table!)
    }
  }
}

describe('the commands of a turn', () => {
  it('are logged in the order in which they were written', () => {
    const { proposals, logged, propose } = bench([], 1)
    for (const epoch of [1, 2, 3]) propose(epoch)
    proposals.flush()
    expect(logged.map(data => data.at(-1))).toEqual([1, 2, 3])
  })

  it('are not logged without those before them, which they may build upon', () => {
    const { proposals, logged, results, propose } = bench([undefined, 'overloaded'], 1)
    for (const epoch of [1, 2, 3]) propose(epoch)
    proposals.flush()
    expect(logged.map(data => data.at(-1))).toEqual([1])
    expect(results).toEqual([{ error: 'OVERLOADED' }, { error: 'OVERLOADED' }])
    expect(proposals.pending).toBe(1)
    propose(4)
    proposals.flush()
    expect(logged.map(data => data.at(-1))).toEqual([1, 4])
  })

  it('wait for more where that pays, and ask to be looked at again', () => {
    const { env, proposals, logged, propose } = bench([], 99, [], 8)
    const entriesAt = (nowMs: number): number => {
      env.now = nowMs
      propose(1)
      proposals.flush()
      return logged.length
    }
    // The second is a trial, which pays.
    expect([1_000, 1_002, 1_006, 1_008, 1_009].map(entriesAt)).toEqual([1, 1, 1, 2, 2])
    expect(env.flushesIn).toEqual([6, 7])
  })

  it('name slots and tenants of the table by which they were written', () => {
    const tenants = [{ prefix: 'acme-', first: 60, count: 4 }]
    const { proposals, headers, propose, knowNoTable, knowTable } = bench([], 9, tenants)
    knowNoTable()
    propose(1)
    knowTable()
    propose(2)
    proposals.flush()
    expect(headers().map(({ slotCount }) => slotCount)).toEqual([0, 64])
    expect(headers()[1]!.tenants).toEqual(tenants)
  })

  it('are never logged under another leadership than that under which they were written', () => {
    const { proposals, logged, results, propose } = bench([], 2)
    for (const epoch of [1, 2, 3]) propose(epoch)
    proposals.onLeadership()
    expect(results).toEqual(Array(3).fill({ error: 'NO_LEADER' }))
    expect(proposals.pending).toBe(0)
    propose(4)
    proposals.flush()
    expect(logged.map(data => data.at(-1))).toEqual([4])
  })
})
