import { describe, expect, it } from 'vitest'
import { threeNodes as config } from '../../test/support/three-nodes.ts'
import { linkDisturbances, nodeDisturbances, orderOf } from './disturbances.ts'
import { parseScenario, type ScenarioFault } from './scenario.ts'

function fault(text: string): ScenarioFault {
  const head = 'name: a\nproves: it does something\nfaults:\n'
  return parseScenario(`${head}  - { ${text}, at: 1 }`, 'a.yaml').faults[0]!
}

/** `node: peer direction what`, of each disturbance. */
function told(text: string, from: readonly string[], to: readonly string[] | undefined): string[] {
  return [...linkDisturbances(fault(text), config, from, to)].flatMap(([node, { links }]) =>
    links.map(({ peer, direction, cut, flapMs, delayMs, lossShare, bytesPerSecond }) => {
      const what = [cut && 'cut', flapMs, delayMs, lossShare, bytesPerSecond].filter(Boolean)
      return `${node}: ${peer} ${direction} ${what.join(' ')}`
    })
  )
}

describe('what a fault of links is at each node', () => {
  it('a cut is made at both ends', () => {
    expect(told('do: cut, target: node n1', ['n1'], ['n2'])).toEqual([
      'n1: n2 both cut',
      'n2: n1 both cut'
    ])
    expect(told('do: flap, target: node n1, flapMs: 70', ['n1'], ['n2'])).toEqual([
      'n1: n2 both cut 70',
      'n2: n1 both cut 70'
    ])
  })

  it('one way, what leaves here does not arrive there', () => {
    expect(told('do: cutOneWay, target: node n1', ['n1'], ['n2', 'n3'])).toEqual([
      'n1: n2 out cut',
      'n1: n3 out cut',
      'n2: n1 in cut',
      'n3: n1 in cut'
    ])
  })

  it('what slows down does so once in each direction', () => {
    expect(told('do: delay, target: node n1, delayMs: 9', ['n1'], ['n2'])).toEqual([
      'n1: n2 out 9',
      'n2: n1 out 9'
    ])
    expect(told('do: loss, target: everything, share: 0.5', ['n1', 'n2'], ['n1', 'n2'])).toEqual([
      'n1: n2 out 0.5',
      'n2: n1 out 0.5'
    ])
  })

  it('clients are disturbed at the node', () => {
    const text = 'do: bandwidth, from: node n1, to: clients, bytesPerSecond: 700'
    expect(told(text, ['n1'], undefined)).toEqual(['n1: clients both 700'])
  })

  it('a node is known by its address while it is dialed', () => {
    const faults = linkDisturbances(fault('do: cut, target: node n1'), config, ['n1'], ['n2'])
    expect(faults.get('n1')!.links[0]!.address).toBe('127.0.0.1:7002')
  })
})

describe('what is done to a node at a time', () => {
  const slow = fault('do: slowDisk, target: node n1, delayMs: 30, jitterMs: 5')
  const late = fault('do: clockOffset, target: node n1, offsetMs: -90')
  const of = (action: Parameters<typeof nodeDisturbances>[0], given = slow) =>
    nodeDisturbances(action, given, ['n1']).get('n1')!

  it('is nothing when nothing is', () => {
    expect(orderOf([], 7)).toEqual({ links: [], leaseMs: 7, disk: undefined, clockOffsetMs: 0 })
  })

  it('is one order: delays and offsets add up, and a disk that is full is full', () => {
    const cut = linkDisturbances(fault('do: cut, target: node n1'), config, ['n1'], ['n2'])
    const all = [
      of('slowDisk'),
      of('slowDisk'),
      of('syncError'),
      of('diskFull'),
      of('clockOffset', late),
      cut.get('n1')!
    ]
    const { links, disk, clockOffsetMs } = orderOf(all, 7)
    expect(disk).toEqual({ delayMs: 60, jitterMs: 10, failure: 'full' })
    expect([links.length, clockOffsetMs]).toEqual([1, -90])
    expect(orderOf([of('syncError')], 7).disk).toEqual({ delayMs: 0, jitterMs: 0, failure: 'sync' })
  })

  it('never takes longer than a node can be told', () => {
    const { disk } = orderOf([of('stuckDisk'), of('slowDisk')], 7)
    expect(disk).toEqual({ delayMs: 60_000, jitterMs: 5, failure: '' })
  })
})
