import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { arbitraryTable } from '../../test/support/arbitrary-table.ts'
import { thrownBy } from '../../test/support/codes.ts'
import { contentHash } from './content-hash.ts'
import { targetOwners } from './ring.ts'
import { runsOf } from './runs.ts'
import type { GreyRule, RoutingTable, SetEntry, Tenant } from './table.ts'
import { decodeTable, encodeTable, peekTable } from './table-codec.ts'

const smallTable: RoutingTable = {
  clusterId: '00000000abcd',
  epoch: 7,
  slotCount: 8,
  runs: [
    { first: 0, count: 5, setId: 's1', slotEpoch: 1 },
    { first: 5, count: 3, setId: 's2', slotEpoch: 7 }
  ],
  moves: [],
  grey: [],
  tenants: [],
  pins: [{ match: 'uid', value: 'alice', setId: 's2' }],
  sets: ['s1', 's2'].map(id => ({
    id,
    zone: 'default',
    state: 'active' as const,
    weight: 1,
    transfers: [],
    logics: [],
    routers: []
  })),
  arbiters: []
}

const tenant = (prefix: string, first: number, count: number, id = `t${first}`): Tenant => {
  return { id, prefix, first, count }
}

const rule = (change: Partial<GreyRule> = {}): GreyRule => {
  return { version: '0.2.0', percent: 5, uids: [], prefixes: [], ...change }
}

describe('table codec', () => {
  it('gives back every table as it was, from one encoding', () => {
    fc.assert(
      fc.property(arbitraryTable, table => {
        const encoded = encodeTable(table)
        expect(decodeTable(encoded)).toEqual(table)
        expect(encodeTable(decodeTable(encoded)).equals(encoded)).toBe(true)
        const { clusterId, epoch } = peekTable(encoded)
        expect([clusterId, epoch]).toEqual([table.clusterId, table.epoch])
      })
    )
  })

  it('gives different contents different bytes and hashes', () => {
    const other = { ...smallTable, pins: [] }
    expect(encodeTable(other).equals(encodeTable(smallTable))).toBe(false)
    expect(peekTable(encodeTable(other)).contentHash).not.toBe(
      peekTable(encodeTable(smallTable)).contentHash
    )
  })

  it('knows the states of a set by numbers that stay, and no other', () => {
    const survivor = { ...replica(1), role: 'voter' as const, bootId: 0, state: 'down' as const }
    const bytesOf = (state: SetEntry['state']) => {
      const [first, second] = smallTable.sets
      const table = { ...smallTable, sets: [{ ...first!, state, routers: [survivor] }, second!] }
      const encoded = encodeTable(table)
      expect(decodeTable(encoded)).toEqual(table)
      return encoded
    }
    const plain = bytesOf('active')
    const at = plain.findIndex((byte, i) => byte !== bytesOf('draining')[i])
    expect((['active', 'draining', 'lost'] as const).map(state => bytesOf(state)[at])).toEqual([
      0, 1, 2
    ])
    plain[at] = 3
    expect(thrownBy(() => decodeTable(plain))).toBe('BAD_PACKET')
  })

  it('takes a newer format only while something in the table needs it', () => {
    const moves = [{ slot: 1, to: 's2', epoch: 7 }]
    const grey = [{ version: '0.2.0', percent: 0.05, uids: ['ann', 'bob'], prefixes: ['vip-'] }]
    const tenants = [{ id: 'acme', prefix: 'acme-', first: 6, count: 2 }]
    const changes = [{}, { moves }, { grey }, { moves, grey }, { tenants }, { moves, tenants }]
    const formats = changes.map(change => {
      const encoded = encodeTable({ ...smallTable, ...change })
      expect(decodeTable(encoded)).toEqual({ ...smallTable, ...change })
      return encoded[0]
    })
    expect(formats).toEqual([1, 2, 3, 3, 4, 4])
  })

  it('refuses a format that the content does not need', () => {
    const plain = encodeTable(smallTable)
    const lists = [Buffer.of(0), Buffer.of(0, 0), Buffer.of(0, 0, 0)]
    for (const [i, empty] of lists.entries()) {
      const body = Buffer.concat([Buffer.of(i + 2), plain.subarray(1, -8), empty])
      const hash = contentHash(body)
      const end = Buffer.alloc(8)
      end.writeUInt32BE(Math.floor(hash / 2 ** 32))
      end.writeUInt32BE(hash % 2 ** 32, 4)
      expect(() => decodeTable(Buffer.concat([body, end]))).toThrow('canonical')
    }
  })

  it('refuses any single changed byte, as the hash covers all of them', () => {
    const encoded = encodeTable(smallTable)
    for (let at = 0; at < encoded.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const damaged = Buffer.from(encoded)
        damaged[at]! ^= flip
        expect(thrownBy(() => decodeTable(damaged))).toBe('BAD_PACKET')
      }
    }
  })

  it('refuses every cut and every addition', () => {
    const encoded = encodeTable(smallTable)
    for (let length = 0; length < encoded.length; length++) {
      expect(thrownBy(() => decodeTable(encoded.subarray(0, length)))).toBe('BAD_PACKET')
    }
    expect(thrownBy(() => decodeTable(Buffer.concat([encoded, Buffer.of(0)])))).toBe('BAD_PACKET')
  })

  it('answers garbage with BAD_PACKET, whatever it claims to be', () => {
    const head = encodeTable(smallTable).subarray(0, 10)
    const garbage = fc.tuple(fc.boolean(), fc.uint8Array({ maxLength: 200 }))
    fc.assert(
      fc.property(garbage, ([withHead, bytes]) => {
        const input = withHead ? Buffer.concat([head, bytes]) : Buffer.from(bytes)
        expect(thrownBy(() => decodeTable(input))).toBe('BAD_PACKET')
      }),
      { numRuns: 500 }
    )
  })

  it('never crashes on a table with a few bytes changed', () => {
    fc.assert(
      fc.property(arbitraryTable, fc.nat(), fc.nat(255), (table, at, value) => {
        const encoded = encodeTable(table)
        if (encoded[at % encoded.length] === value) return
        encoded[at % encoded.length] = value
        expect(thrownBy(() => decodeTable(encoded))).toBe('BAD_PACKET')
      })
    )
  })

  it('refuses another format version instead of guessing', () => {
    const encoded = encodeTable(smallTable)
    encoded[0] = 9
    expect(thrownBy(() => peekTable(encoded))).toBe('BAD_PACKET')
  })

  it('allocates nothing for announced counts that the bytes do not pay for', () => {
    // Format, cluster id, epoch 1, 2^15 slots, then "a million sets".
    const hostile = Buffer.concat([
      Buffer.from('0100000000000001010f', 'hex'),
      Buffer.from('c0843d', 'hex'),
      Buffer.alloc(8)
    ])
    expect(thrownBy(() => decodeTable(hostile))).toBe('BAD_PACKET')
  })

  const [first, second] = smallTable.runs as [
    (typeof smallTable.runs)[0],
    (typeof smallTable.runs)[0]
  ]
  const [setOne, setTwo] = smallTable.sets as [
    (typeof smallTable.sets)[0],
    (typeof smallTable.sets)[0]
  ]
  const unsound: [string, Partial<RoutingTable>][] = [
    ['an epoch of 0', { epoch: 0 }],
    ['an epoch over 32 bits', { epoch: 2 ** 32 }],
    ['a slot count that is no power of two', { slotCount: 7 }],
    ['too many slots', { slotCount: 65_536 }],
    ['a lost set without a survivor', { sets: lostSet(0) }],
    ['a lost set with two', { sets: lostSet(2) }],
    ['a gap between runs', { runs: [first, { ...second, first: 6, count: 2 }] }],
    ['overlapping runs', { runs: [first, { ...second, first: 4, count: 4 }] }],
    ['missing slots at the end', { runs: [first] }],
    ['a run of an unknown set', { runs: [first, { ...second, setId: 's3' }] }],
    ['a slot epoch over the epoch', { runs: [first, { ...second, slotEpoch: 8 }] }],
    [
      'neighbouring runs that are one',
      {
        runs: [{ ...first, count: 2 }, { ...first, first: 2, count: 3 }, second]
      }
    ],
    ['unsorted sets', { sets: [setTwo, setOne] }],
    ['two sets of one id', { sets: [setOne, setOne, setTwo] }],
    ['no set', { sets: [] }],
    ['a set id with a slash', { sets: [{ ...setOne, id: 's/1' }, setTwo] }],
    ['a set weight of 0', { sets: [{ ...setOne, weight: 0 }, setTwo] }],
    ['a pin to an unknown set', { pins: [{ match: 'uid', value: 'alice', setId: 's3' }] }],
    ['an empty pin', { pins: [{ match: 'uid', value: '', setId: 's1' }] }],
    ['tenants with half of the slots', { tenants: [tenant('a-', 4, 4)] }],
    ['a tenant without slots', { tenants: [tenant('a-', 8, 0)] }],
    ['a tenant away from the end', { tenants: [tenant('a-', 5, 2)] }],
    ['a gap between tenants', { tenants: [tenant('a-', 5, 1), tenant('b-', 7, 1)] }],
    ['unsorted tenants', { tenants: [tenant('b-', 6, 1), tenant('a-', 7, 1)] }],
    ['a prefix that begins another', { tenants: [tenant('a', 6, 1), tenant('a-', 7, 1)] }],
    [
      'two tenants of one name',
      { tenants: [tenant('a-', 6, 1, 'one'), tenant('b-', 7, 1, 'one')] }
    ],
    ['a tenant of everybody', { tenants: [tenant('', 7, 1, 'all')] }],
    ['a prefix over 32 bytes', { tenants: [tenant('ü'.repeat(17), 7, 1, 'u')] }],
    ['a pin of an unknown tenant', { pins: [{ match: 'tenant', value: 'acme', setId: 's1' }] }],
    ['a rule for no version', { grey: [rule({ version: '' })] }],
    ['two rules for a version', { grey: [rule(), rule()] }],
    ['a share over 100', { grey: [rule({ percent: 100.5 })] }],
    ['a share below 0', { grey: [rule({ percent: -1 })] }],
    ['a share of thousandths', { grey: [rule({ percent: 0.005 })] }],
    ['unsorted names', { grey: [rule({ uids: ['b', 'a'] })] }],
    ['an empty prefix', { grey: [rule({ prefixes: [''] })] }],
    ['an arbiter numbered 0', { arbiters: [{ replicaId: 0, nodeId: 'n', address: '' }] }]
  ]
  it.each(unsound)('never encodes %s', (_, change) => {
    expect(thrownBy(() => encodeTable({ ...smallTable, ...change }))).toBe('INTERNAL')
  })

  it('keeps the table of a default cluster within 4 KiB, scattered as the ring leaves it', () => {
    const sets = ['s1', 's2', 's3'].map(id => ({
      id,
      zone: 'default',
      state: 'active' as const,
      weight: 1,
      transfers: [1, 2, 3].map(i => ({
        ...process(`${id}-t${i}`, i),
        clientAddresses: [`tcp://10.0.0.${i}:7100`, `ws://10.0.0.${i}:7200`]
      })),
      logics: [1, 2, 3].map(i => process(`${id}-l${i}`, i)),
      routers: [1, 2, 3].map(i => ({
        ...replica(i),
        role: 'voter' as const,
        bootId: 2 ** 47 + i,
        state: 'up' as const
      }))
    }))
    const owners = targetOwners(1_024, sets)
    const runs = runsOf(owners, new Array<number>(1_024).fill(1))
    const arbiters = [1, 2, 3].map(replica)
    const table = { ...smallTable, slotCount: 1_024, runs, sets, arbiters, pins: [] }
    expect(runs.length).toBeGreaterThan(500)
    expect(encodeTable(table).length).toBeLessThan(2_048)
  })
})

function lostSet(survivors: number): SetEntry[] {
  const routers = [1, 2].slice(0, survivors).map(i => {
    return { ...replica(i), role: 'voter' as const, bootId: 0, state: 'up' as const }
  })
  const [first, second] = smallTable.sets
  return [{ ...first!, state: 'lost', routers }, second!]
}

function replica(i: number) {
  return { replicaId: i, nodeId: `n${i}`, address: `10.0.0.${i}:7000` }
}

function process(id: string, i: number) {
  return {
    id,
    nodeId: `n${i}`,
    bootId: 2 ** 47 + i,
    address: `10.0.0.${i}:7000`,
    state: 'up' as const,
    version: '0.1.0',
    weight: 1
  }
}
