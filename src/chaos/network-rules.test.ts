import { describe, expect, it } from 'vitest'
import { threeNodes as config } from '../../test/support/three-nodes.ts'
import { type Disturbances, linkDisturbances } from './disturbances.ts'
import { mustBeShapeable } from './network-hand.ts'
import { cutLines, lossRules, outwardPlans, shapeLines } from './network-rules.ts'
import { parseScenario } from './scenario.ts'

const links = (text: string, from: string[], to: string[] | undefined): Disturbances => {
  const head = 'name: a\nproves: it does something\nfaults:\n'
  const [fault] = parseScenario(
    `${head}  - { ${text}, target: everything, at: 1 }`,
    'a.yaml'
  ).faults
  return linkDisturbances(fault!, config, from, to)
}

/** `from → to: what`, of every line. */
function planned(...active: Disturbances[]): string[] {
  return [...outwardPlans(active)].flatMap(([from, plans]) =>
    [...plans].map(([to, { cut, delayMs, jitterMs, lossShare, bytesPerSecond }]) => {
      const what = [cut && 'cut', delayMs, jitterMs, lossShare, bytesPerSecond].filter(Boolean)
      return `${from} → ${to}: ${what.join(' ')}`
    })
  )
}

describe('links that the system disturbs', () => {
  it('are disturbed where packets leave', () => {
    expect(planned(links('do: cut', ['n1'], ['n2']))).toEqual(['n1 → n2: cut', 'n2 → n1: cut'])
    expect(planned(links('do: cutOneWay', ['n1'], ['n2', 'n3']))).toEqual([
      'n1 → n2: cut',
      'n1 → n3: cut'
    ])
    expect(planned(links('do: delay, delayMs: 9, jitterMs: 2', ['n1'], ['n2']))).toEqual([
      'n1 → n2: 9 2',
      'n2 → n1: 9 2'
    ])
  })

  it('to clients are disturbed at both ends, one way at the node', () => {
    expect(planned(links('do: cut', ['n1'], undefined))).toEqual([
      'n1 → clients: cut',
      'clients → n1: cut'
    ])
    expect(planned(links('do: cutOneWay', ['n1'], undefined))).toEqual(['n1 → clients: cut'])
  })

  it('bear all faults together', () => {
    const both = [
      links('do: delay, delayMs: 9, jitterMs: 2', ['n1'], ['n2']),
      links('do: delay, delayMs: 5, jitterMs: 0', ['n2'], ['n1']),
      links('do: loss, share: 0.1', ['n1'], ['n2']),
      links('do: bandwidth, bytesPerSecond: 700', ['n1'], ['n2']),
      links('do: bandwidth, bytesPerSecond: 900', ['n1'], ['n2'])
    ]
    expect(planned(...both)[0]).toBe('n1 → n2: 14 2 0.1 700')
  })
})

describe('the lines for the system', () => {
  const free = { cut: false, delayMs: 0, jitterMs: 0, lossShare: 0, bytesPerSecond: 0 }

  it('cut what is not cut yet, and heal what no longer is', () => {
    expect(cutLines('eth0', ['10.0.0.1', '10.0.0.2'], ['10.0.0.2', '10.0.0.3'])).toEqual([
      'neigh del 10.0.0.1 dev eth0',
      'neigh replace 10.0.0.3 lladdr 02:00:00:00:00:00 nud permanent dev eth0'
    ])
    expect(cutLines('eth0', ['10.0.0.1'], ['10.0.0.1'])).toEqual([])
  })

  it('shape only what is to be shaped', () => {
    expect(shapeLines('eth0', new Map([['10.0.0.1', { ...free, cut: true }]]))).toEqual([])
    const plans = new Map([
      ['10.0.0.1', free],
      ['10.0.0.2', { ...free, bytesPerSecond: 500 }],
      ['10.0.0.3', { ...free, delayMs: 40, jitterMs: 10 }],
      ['10.0.0.4', { ...free, lossShare: 0.02 }]
    ])
    expect(shapeLines('eth0', plans)).toEqual([
      'qdisc add dev eth0 root handle 1: htb default 0',
      'class add dev eth0 parent 1: classid 1:1 htb rate 4000bit',
      'qdisc add dev eth0 parent 1:1 bfifo limit 65536',
      'filter add dev eth0 parent 1: protocol ip prio 1 u32 match ip dst 10.0.0.2/32 flowid 1:1',
      'class add dev eth0 parent 1: classid 1:2 htb rate 10gbit',
      'qdisc add dev eth0 parent 1:2 netem limit 10000 delay 45ms 5ms',
      'filter add dev eth0 parent 1: protocol ip prio 1 u32 match ip dst 10.0.0.3/32 flowid 1:2'
    ])
  })

  it('lose a share in the middle, each way by itself, and nothing where nothing is to be lost', () => {
    const lossy = (lossShare: number) => ({ ...free, lossShare })
    const rules = lossRules(
      new Map([
        [
          '10.0.0.1',
          new Map([
            ['10.0.0.2', lossy(0.02)],
            ['10.0.0.3', free]
          ])
        ],
        ['10.0.0.2', new Map([['10.0.0.1', lossy(1)]])]
      ])
    )
    expect(rules.split('\n').filter(line => line.endsWith('drop'))).toEqual([
      'ip saddr 10.0.0.1 ip daddr 10.0.0.2 numgen random mod 1000000 < 20000 drop',
      'ip saddr 10.0.0.2 ip daddr 10.0.0.1 numgen random mod 1000000 < 1000000 drop'
    ])
    expect(lossRules(new Map())).not.toMatch('drop')
  })

  it('are possible only where the kernel knows what they need', async () => {
    const asked: string[] = []
    const mustKnow = async (words: string, purpose: string): Promise<void> => {
      asked.push(`${words}: ${purpose}`)
    }
    const spaces = {
      mustKnow,
      mustFilter: (_: string, purpose: string) => mustKnow('nft', purpose)
    }
    await mustBeShapeable(spaces, ['kill', 'cut', 'flap'])
    expect(asked).toEqual([])
    await mustBeShapeable(spaces, ['bandwidth', 'loss', 'delay'])
    expect(asked).toEqual(['netem delay 1ms: delay', 'htb: bandwidth, delay', 'nft: loss'])
  })
})
