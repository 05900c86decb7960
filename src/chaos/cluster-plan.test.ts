import { describe, expect, it } from 'vitest'
import { parseConfig } from '../config/config.ts'
import { clusterPlan } from './cluster-plan.ts'
import { userGroups } from './user-names.ts'

/** `node: roles` of each process. */
async function processes(sets: number, layout: 'together' | 'apart' | 'split'): Promise<string[]> {
  const config = parseConfig(await clusterPlan({ sets, layout }))
  return config.nodes.map(({ id, roles }) => `${id}: ${roles.map(({ role }) => role).join(' ')}`)
}

describe('the processes of a drill', () => {
  const arbiters = ['a1: arbiter', 'a2: arbiter', 'a3: arbiter']

  it('hold gateways and logics beside routers, unless told otherwise', async () => {
    expect(await processes(1, 'together')).toEqual([
      's1-a: router transfer logic',
      's1-b: router transfer logic',
      's1-c: router',
      ...arbiters
    ])
  })

  it('or logics apart', async () => {
    expect(await processes(1, 'apart')).toEqual([
      's1-a: router transfer',
      's1-l1: logic',
      's1-b: router transfer',
      's1-l2: logic',
      's1-c: router',
      ...arbiters
    ])
  })

  it('or one role each', async () => {
    const split = await processes(2, 'split')
    expect(split.slice(0, 7)).toEqual([
      's1-a: router',
      's1-t1: transfer',
      's1-l1: logic',
      's1-b: router',
      's1-t2: transfer',
      's1-l2: logic',
      's1-c: router'
    ])
    expect(split).toHaveLength(17)
  })

  it('know of tenants, whose users write to each other and share a slot', async () => {
    const plan = parseConfig(await clusterPlan({ sets: 2, layout: 'together' }, 3))
    const groups = userGroups({ users: 8, tenants: 3 })
    expect(groups[1]).toEqual(['t2-user-2', 't2-user-5', 't2-user-8'])
    const { tenants } = plan.cluster
    expect(
      groups.map(([uid]) => tenants.find(({ prefix }) => uid!.startsWith(prefix))?.id)
    ).toEqual(['t1', 't2', 't3'])
    expect(tenants.map(({ slots }) => slots)).toEqual([1, 1, 1])
    expect(userGroups({ users: 2, tenants: 0 }, 'a-')).toEqual([['a-user-1', 'a-user-2']])
  })

  it('stand in three zones', async () => {
    const { nodes } = await clusterPlan({ sets: 1, layout: 'split' })
    expect(nodes.map(({ zone }) => zone).join('')).toBe('aaabbbcabc')
  })
})
