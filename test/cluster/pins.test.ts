import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RingsetError } from '../../src/base/errors.ts'
import type { ImClient } from '../../src/client/im-client.ts'
import { GreyOperator, type GreyReport } from '../../src/control/grey-operator.ts'
import { PinOperator, type PinReport } from '../../src/control/pin-operator.ts'
import { SlotOperator } from '../../src/control/slot-operator.ts'
import {
  TenantOperator,
  type TenantReport,
  type TenantView
} from '../../src/control/tenant-operator.ts'
import { wholeClusterConfig } from '../../src/launch/whole-cluster.ts'
import { CommandLine } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { TestCluster } from '../support/test-cluster.ts'

const grey = '0.2.0-grey'

describe('an operator steers users', () => {
  let cluster: TestCluster
  let ringset: CommandLine
  let ann: ImClient
  let bob: ImClient
  const received: string[] = []
  let sent = 0

  beforeAll(async () => {
    const { nodes } = await wholeClusterConfig(['s1', 's2'])
    const labelled = nodes.map(node => (node.id.endsWith('-b') ? { ...node, version: grey } : node))
    const tenants = [{ id: 'acme', prefix: 'acme-', slots: 16 }]
    cluster = await TestCluster.start({ nodes: labelled, cluster: { name: 'pins', tenants } })
    ringset = new CommandLine(cluster.directory, cluster.directory)
    const [first, second] = await cluster.usersOf('s1', 2)
    ann = cluster.client(first!)
    bob = cluster.client(second!)
    bob.onMessage(message => {
      received.push(message.body.toString())
    })
    await Promise.all([ann.connect(), bob.connect()])
  })
  afterAll(async () => {
    ringset?.close()
    await cluster?.close()
  })

  /** Messages of ann, or of another, each of which arrives once. */
  async function chat(count: number, from = ann): Promise<void> {
    const texts = Array.from({ length: count }, () => `hello ${++sent}`)
    for (const text of texts) await from.sendText(bob.uid, text)
    await eventually('bob has all of them', 15_000, () =>
      texts.every(text => received.includes(text))
    )
    expect(new Set(received).size).toBe(received.length)
  }

  /** Requests that each logic of s1 has had. */
  async function requests(): Promise<{ plain: number; grey: number }> {
    const { sets } = await cluster.status()
    const of = (id: string) => sets[0]!.logics.find(logic => logic.id === id)!.requests
    return { plain: of('s1-l1'), grey: of('s1-l2') }
  }

  const route = (uid = ann.uid) => cluster.cluster.control.any(node => node.route(uid))
  const refusalOf = (work: Promise<unknown>) =>
    work.then(
      () => 'none',
      ({ code, message }: RingsetError) => `${code} ${message}`
    )

  it('holds the slot of one in a set, against every other wish, until it is let go', async () => {
    const pins = new PinOperator(cluster.cluster.control)
    const slots = new SlotOperator(cluster.cluster.control)
    const { slot } = await route()
    expect(await refusalOf(pins.add(ann.uid, 's9'))).toMatch(/^SET_UNKNOWN/)
    const pinned = await ringset.json<PinReport>('pin', 'add', ann.uid, '--set', 's2')
    expect(pinned).toMatchObject({ slot, from: 's1', owner: 's2', movingTo: '', changed: true })
    await eventually('every node has the pin', 10_000, async () => {
      const { set, pinnedTo, pinnedBy } = await route()
      return set === 's2' && pinnedTo === 's2' && pinnedBy[0] === ann.uid
    })
    await chat(3)
    const views = [{ uid: ann.uid, slot, set: 's2', owner: 's2', movingTo: '' }]
    expect(await pins.list()).toEqual({ slotCount: 1_024, pins: views })

    const held = `slot ${slot} is pinned to set s2 by "${ann.uid}"`
    const { code, stderr } = await ringset.run('slot', 'move', String(slot), 's1')
    expect([code, stderr.split('.')[0]]).toEqual([1, `error SLOT_PINNED: ${held}`])
    const past = slots.carry([{ slot, from: 's2', to: 's1' }])
    expect(await refusalOf(past)).toBe(`SLOT_PINNED ${held}`)
    expect(await refusalOf(pins.add(ann.uid, 's1'))).toBe(`SLOT_PINNED ${held}`)
    expect(await slots.planRebalance()).toEqual([])

    const freed = await pins.remove(ann.uid, true)
    expect(freed).toMatchObject({ from: 's2', owner: 's1', pinnedBy: [], changed: true })
    await eventually('it is not pinned anywhere', 10_000, async () => {
      const { set, pinnedTo, pinnedBy } = await route()
      return set === 's1' && pinnedTo === '' && pinnedBy.length === 0
    })
    await chat(3)
  })

  it('holds all users of a tenant in a set, and nobody else', async () => {
    const tenants = new TenantOperator(cluster.cluster.control)
    const slots = new SlotOperator(cluster.cluster.control)
    const users = Array.from({ length: 8 }, (_, i) => `acme-${i}`)
    const [moving] = await cluster.usersOf('s1', 1, 'acme')
    const member = cluster.client(moving!)
    await member.connect()
    await chat(3, member)
    const [before] = await tenants.list()
    expect(before).toMatchObject({ tenant: 'acme', first: 1_008, slots: 16, set: '', moving: 0 })
    const neighbours = await ringset.run('pin', 'add', '--prefix', 'vip-', '--set', 's2', '--json')
    expect(neighbours.code).toBe(1)
    expect(JSON.parse(neighbours.stderr).error).toMatchObject({ code: 'TENANT_UNKNOWN' })

    const pinned = await ringset.json<TenantReport>('pin', 'add', '--tenant', 'acme', '--set', 's2')
    const owners = { s2: 16 }
    expect(pinned).toMatchObject({ set: 's2', owners, moving: 0, aborted: [], changed: true })
    expect(pinned.total).toBe(before!.owners.s1)
    const { set, why, tenantPinned } = await route(moving)
    expect([set, tenantPinned]).toEqual(['s2', true])
    expect(why).toMatch(/1 of 16 of tenant acme, .* pinned to set s2 by tenant acme$/)
    for (const uid of users) expect((await route(uid)).set).toBe('s2')
    await chat(3, member)
    expect((await route()).set).toBe('s1')
    const held = 'SLOT_PINNED slot 1010 is pinned to set s2 by tenant acme'
    expect(await refusalOf(slots.plan([1_010], 's1'))).toBe(held)
    const away = await slots.planRebalance()
    expect(away).toEqual([])
    const listed = await ringset.json<{ tenants: TenantView[] }>('pin', 'list')
    expect(listed.tenants).toMatchObject([{ tenant: 'acme', prefix: 'acme-', set: 's2', owners }])

    const freed = await tenants.remove({ prefix: 'acme-' }, true)
    expect(freed).toMatchObject({ set: '', owners: before!.owners, changed: true })
    await chat(3, member)
  })

  it('sends some to logics of a version, nobody else there, and takes it back at once', async () => {
    const { rules } = await ringset.json<GreyReport>('grey', 'set', grey, '--users', ann.uid)
    expect(rules.map(({ logics }) => logics.map(({ id }) => id))).toEqual([['s1-l2', 's2-l2']])
    const operator = new GreyOperator(cluster.cluster.control)
    await operator.set({ version: '9.9.9', percent: 0, uids: [], prefixes: [] })
    const ruled = { version: grey, asRuled: true, logics: [{ id: 's1-l2', version: grey }] }
    const gateways = cluster.cluster.config.nodes.filter(({ id }) => /^s1-[ab]$/.test(id))
    for (const { id } of gateways) {
      await eventually(`${id} has the rule`, 10_000, async () => {
        const { grey: known } = await cluster.cluster.node(id).table()
        return known.length === 2
      })
    }
    await eventually('every node that may answer has the rule', 10_000, async () => {
      return (await route()).version === grey && (await route(bob.uid)).logics.length === 1
    })
    expect(await ringset.json('route', ann.uid)).toMatchObject(ruled)
    expect((await route(bob.uid)).logics).toMatchObject([{ id: 's1-l1' }])
    const before = await requests()
    await chat(20)
    const after = await requests()
    expect(after.grey - before.grey).toBeGreaterThanOrEqual(20)
    expect(after.plain - before.plain).toBeLessThan(20)

    await cluster.cluster.killNode('s1-b')
    await chat(3)
    const standIn = { version: grey, asRuled: false, logics: [{ id: 's1-l1' }] }
    await eventually('the table has it down', 15_000, async () => (await route()).asRuled === false)
    expect(await route()).toMatchObject(standIn)
    await cluster.startAll()

    expect(await ringset.json('grey', 'undo')).toMatchObject({ changed: true, rules: [] })
    expect(await operator.undo('')).toMatchObject({ changed: false })
    // Whichever node answers: a table is everywhere within a heartbeat of the links, not at once.
    await eventually('nobody is ruled any more', 10_000, async () => (await route()).version === '')
    expect((await route()).asRuled).toBe(true)
    await chat(3)
  })
})
