import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import type { RingsetError } from '../base/errors.ts'
import { checkConfigText, describeProblem, loadConfig, parseConfig, readConfig } from './config.ts'
import { explainField, fieldDocs } from './explain.ts'
import { nearest } from './nearest.ts'
import { raftSettings } from './raft-timing.ts'
import { ruleNames } from './rules.ts'
import type { ClusterConfigInput } from './schema.ts'
import { ensureSecrets, readHexFile, readSecrets } from './secrets.ts'

const folder = mkdtempSync(join(tmpdir(), 'ringset-config-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const single = `cluster:
  name: single
sets:
  - id: s1
nodes:
  - id: n1
    peerPort: 7001
    controlPort: 7011
    roles:
      - { role: arbiter, replica: 1 }
      - { role: router, set: s1, replica: 1 }
      - { role: transfer, id: t1, set: s1, tcpPort: 7021 }
      - { role: logic, id: l1, set: s1 }
`

/** The routers and arbiters of one group on nodes in these zones, judged. */
function warningsIn(zones: string) {
  const nodes = [...zones].map((zone, i) => ({
    ...{ id: `n${i}`, zone, peerPort: 7_100 + i, controlPort: 7_200 + i },
    roles: [
      { role: 'router', set: 's1', replica: i + 1 },
      ...(i < 3 ? [{ role: 'arbiter', replica: i + 1 }] : []),
      ...(i === 0
        ? [
            { role: 'transfer', id: 't1', set: 's1', tcpPort: 7_300 },
            { role: 'logic', id: 'l1', set: 's1' }
          ]
        : [])
    ]
  }))
  const { config, problems, warnings } = checkConfigText(
    JSON.stringify({ cluster: { name: 'zones' }, sets: [{ id: 's1' }], nodes })
  )
  expect([config === undefined, problems]).toEqual([false, []])
  return warnings
}

describe('a good file with odd zones', () => {
  it('is taken, with a warning for each group that one zone decides about', () => {
    expect(warningsIn('abc')).toEqual([])
    expect(warningsIn('aab')).toEqual([])
    expect(warningsIn('aaa')).toEqual([])
    expect(warningsIn('aabbc').map(({ field }) => field)).toEqual(['nodes[1].zone'])
    const [routers, arbiters] = warningsIn('aaabc')
    expect(routers).toMatchObject({
      field: 'nodes[2].zone',
      rule: 'replicas-over-zones',
      text: expect.stringMatching(/^is a for 3 of the routers of set s1, 5 in all/)
    })
    expect(arbiters?.text).toMatch(/^is a for 3 of the arbiters, 3 in all/)
  })
})

const problemsOf = (text: string) =>
  checkConfigText(text).problems.map(found => describeProblem('f', found))

/** A valid configuration with one thing changed. */
function changed(change: (config: ClusterConfigInput) => void): string[] {
  const config = structuredClone(checkConfigText(single).config!) as ClusterConfigInput
  change(config)
  return checkConfigText(JSON.stringify(config)).problems.map(({ rule }) => rule)
}

describe('a good file', () => {
  it('is loaded with every default filled in', () => {
    const path = join(folder, 'good.yaml')
    writeFileSync(path, single)
    const config = loadConfig(path)
    expect(config.cluster).toEqual({
      name: 'single',
      slotCount: 1024,
      tenants: [],
      carry: 'stamp',
      allowPlaintext: false,
      faultControl: false
    })
    expect(config.nodes[0]?.host).toBe('127.0.0.1')
    expect(config.raft.heartbeatMs).toBe(50)
    expect(parseConfig(config)).toEqual(config)
  })

  it('becomes Raft settings in whole ticks', () => {
    const config = parseConfig({
      ...(checkConfigText(single).config as object),
      raft: { tickMs: 20, heartbeatMs: 50, electionMinMs: 250, recampaignMinMs: 50 }
    })
    expect(raftSettings(config)).toMatchObject({
      heartbeatTicks: 3,
      electionTicks: 13,
      recampaignTicks: 3,
      checkQuorumTicks: 18,
      preVote: true
    })
  })
})

describe('a bad file', () => {
  it('is answered with file, line, field and rule of every problem', () => {
    const text = single
      .replace('name: single', 'name: single\n  slotCont: 7\n  slotCount: 0')
      .replace('set: s1, replica: 1', 'sett: s1, replica: 300')
      .replace('tcpPort: 7021', 'tcpPort: seven')
    expect(problemsOf(text)).toEqual([
      'f:3:3: cluster.slotCont is unknown; did you mean slotCount? [unknown-field]',
      'f:4:14: cluster.slotCount must be at least 16 [too-small]',
      'f:13:9: nodes[0].roles[1].set is missing [required]',
      'f:13:25: nodes[0].roles[1].sett is unknown; did you mean set? [unknown-field]',
      'f:13:44: nodes[0].roles[1].replica must be at most 255 [too-big]',
      'f:14:53: nodes[0].roles[2].tcpPort must be number [invalid-type]'
    ])
  })

  it('has its cross-field rules checked even when it also has unknown fields', () => {
    const text = single
      .replace('7011', '7001')
      .replace('name: single', 'name: single\n  colour: red')
    expect(problemsOf(text)).toEqual([
      'f:3:3: cluster.colour is unknown [unknown-field]',
      'f:9:18: nodes[0].controlPort 127.0.0.1:7001 is used before, at nodes[0].peerPort [port-unique]'
    ])
  })

  it('may be broken YAML, another type, empty, missing or a bomb', () => {
    expect(problemsOf('a: [1\nb: 2')[0]).toContain('[yaml]')
    expect(problemsOf('cluster: {name: a}\ncluster: {name: b}')[0]).toMatch(
      /^f:2:1: .*unique.*yaml/
    )
    expect(problemsOf('')).toEqual(['f:1:1: must be object [invalid-type]'])
    expect(problemsOf('- 1')[0]).toContain('must be object')
    expect(problemsOf(single.replace('logic', 'magic'))).toEqual([
      'f:13:17: nodes[0].roles[3].role must be router, transfer, logic or arbiter [invalid-union]'
    ])
    const bomb = `a: &a [1,1,1,1,1,1,1,1,1]\n${Array.from({ length: 9 }, (_, i) => {
      const [now, before] = [String.fromCharCode(98 + i), String.fromCharCode(97 + i)]
      return `${now}: &${now} [${Array(9).fill(`*${before}`).join(',')}]`
    }).join('\n')}`
    expect(problemsOf(bomb)[0]).toContain('[yaml]')
    expect(() => readConfig(join(folder, 'none.yaml'))).toThrow(/cannot be read \(ENOENT\)/)
    expect(() => readConfig(folder)).toThrow(/cannot be read \(EISDIR\)/)
  })

  it('throws CONFIG_INVALID that carries the first place as facts', () => {
    const path = join(folder, 'bad.yaml')
    writeFileSync(path, single.replace('7011', '7001'))
    let error: RingsetError | undefined
    try {
      loadConfig(path)
    } catch (thrown) {
      error = thrown as RingsetError
    }
    expect(error?.code).toBe('CONFIG_INVALID')
    expect(error?.facts).toEqual({
      file: path,
      line: 8,
      field: 'nodes[0].controlPort',
      rule: 'port-unique',
      problems: 1
    })
  })

  it('never makes the judge throw, whatever it is', () => {
    fc.assert(
      fc.property(fc.anything({ maxDepth: 4 }), value => {
        const { config, problems } = checkConfigText(JSON.stringify(value) ?? '')
        expect(config === undefined).toBe(problems.length > 0)
      })
    )
    fc.assert(
      fc.property(fc.nat(single.length - 1), fc.string({ maxLength: 4 }), (at, noise) => {
        const { config, problems } = checkConfigText(
          single.slice(0, at) + noise + single.slice(at + 1)
        )
        expect(config === undefined).toBe(problems.length > 0)
        for (const { line } of problems) expect(line).toBeGreaterThan(0)
      })
    )
  })
})

const tenant = (prefix: string, id = 'acme') => ({ id, prefix, slots: 8 })

describe('tenants', () => {
  const problemsWith = (...tenants: unknown[]) =>
    changed(c => Object.assign(c.cluster, { tenants }))

  it('have a name, a prefix of at most 32 bytes and slots of their own', () => {
    expect(problemsWith(tenant('acme-'), tenant('用户-', 'users'))).toEqual([])
    expect(problemsWith(tenant(''))).toEqual(['custom'])
    expect(problemsWith(tenant('ü'.repeat(17)))).toEqual(['custom'])
    expect(problemsWith(tenant('a\n'))).toEqual(['custom'])
    expect(problemsWith({ ...tenant('a'), slots: 0 })).toEqual(['too-small'])
    expect(problemsWith({ ...tenant('a'), id: 'a/b' })).toEqual(['invalid-format'])
    expect(problemsWith({ id: 'a' })).toEqual(['required', 'required'])
  })
})

describe('each cross-field rule', () => {
  const breaks: Record<string, (config: ClusterConfigInput) => void> = {
    'slot-count-power-of-two': c => Object.assign(c.cluster, { slotCount: 1000 }),
    'slots-for-every-set': c => {
      c.cluster.slotCount = 16
      for (let i = 2; i <= 17; i++) c.sets.push({ id: `s${i}` })
    },
    'tenant-id-unique': c => Object.assign(c.cluster, { tenants: [tenant('a-'), tenant('b-')] }),
    'tenant-prefixes-apart': c =>
      Object.assign(c.cluster, { tenants: [tenant('acme-'), tenant('ac', 'ac')] }),
    'tenants-below-half': c =>
      Object.assign(c.cluster, { slotCount: 32, tenants: [tenant('a-'), tenant('b-', 'b')] }),
    'set-id-unique': c => c.sets.push({ id: 's1' }),
    'node-id-unique': c => c.nodes.push({ ...c.nodes[0]!, host: '127.0.0.2' }),
    'role-id-unique': c => c.nodes[0]!.roles.push({ role: 'logic', id: 'l1', set: 's1' }),
    'replica-unique': c =>
      c.nodes.push({
        id: 'n2',
        peerPort: 1,
        controlPort: 2,
        roles: [{ role: 'router', set: 's1', replica: 1 }]
      }),
    'one-replica-per-node': c => c.nodes[0]!.roles.push({ role: 'arbiter', replica: 2 }),
    'port-unique': c => Object.assign(c.nodes[0]!, { peerPort: 7021 }),
    'set-exists': c => c.nodes[0]!.roles.push({ role: 'logic', id: 'l2', set: 's9' }),
    'set-complete': c => c.sets.push({ id: 's2' }),
    'set-founded': c => Object.assign(c.nodes[0]!.roles[1]!, { join: true }),
    'arbiter-exists': c => c.nodes[0]!.roles.shift(),
    'plaintext-on-loopback': c => Object.assign(c.nodes[0]!, { host: '10.0.0.1' }),
    'heartbeat-below-half-election': c => Object.assign(c.raft!, { heartbeatMs: 125 }),
    'whole-ticks': c => Object.assign(c.raft!, { tickMs: 100 }),
    'check-quorum-outlasts-election': c => Object.assign(c.raft!, { checkQuorumMs: 249 }),
    'heartbeat-range': c => Object.assign(c.presence!, { heartbeatMinMs: 300_001 }),
    'lease-outlasts-failover': c =>
      Object.assign(c.raft!, { electionMinMs: 2501, checkQuorumMs: 5000 }),
    'down-after-three-announcements': c => Object.assign(c.arbiter!, { announceMs: 1001 }),
    'body-fits-frame': c => Object.assign(c.limits!, { bodyBytes: 1_048_576 }),
    'append-fits-frame': c => Object.assign(c.raft!, { messageBytes: 1_000_000 }),
    'inflight-holds-a-message': c => Object.assign(c.raft!, { inflightBytes: 65_536 }),
    'uncommitted-holds-a-message': c => Object.assign(c.raft!, { uncommittedBytes: 262_144 }),
    'backlog-range': c => Object.assign(c.limits!, { pushBacklogSoftBytes: 4_194_304 }),
    'backlog-holds-a-frame': c =>
      Object.assign(c.limits!, { pushBacklogSoftBytes: 16_384, pushBacklogHardBytes: 65_536 }),
    'queue-holds-a-frame': c =>
      Object.assign(c.limits!, { linkQueueBytes: 1_048_576, frameBytes: 2_097_152 })
  }

  it('has a configuration here that breaks it', () => {
    expect(Object.keys(breaks)).toEqual(ruleNames)
  })

  it.each(ruleNames)('%s is reported', rule => {
    expect(changed(() => {})).toEqual([])
    expect(changed(breaks[rule]!)).toContain(rule)
  })

  it('allows other hosts where plaintext is allowed, and names loopback by any address', () => {
    for (const host of ['127.9.9.9', 'localhost', '::1']) {
      expect(changed(c => Object.assign(c.nodes[0]!, { host }))).toEqual([])
    }
    expect(
      changed(c => {
        c.cluster.allowPlaintext = true
        c.nodes[0]!.host = '10.0.0.1'
      })
    ).toEqual([])
  })
})

describe('explain', () => {
  it('knows every field with a sentence, a unit and a trade-off', () => {
    const docs = fieldDocs()
    expect(docs.length).toBeGreaterThan(50)
    for (const doc of docs) {
      expect(doc.about, doc.field).toMatch(/^[A-Z`].*\.$/)
      expect(doc.tradeOff, doc.field).toMatch(/^[A-Z`].*\.$/)
      expect(doc.unit, doc.field).not.toBe('')
    }
    expect(new Set(docs.map(doc => doc.field)).size).toBe(docs.length)
  })

  it('finds a field, a section, a field of a list, and what was meant', () => {
    expect(explainField('raft.heartbeatMs').docs).toHaveLength(1)
    expect(explainField('limits').docs.length).toBeGreaterThan(5)
    expect(explainField('nodes.host').docs[0]?.field).toBe('nodes[].host')
    expect(explainField('nodes[].roles[transfer].tcpPort').docs).toHaveLength(1)
    expect(explainField('heartbetMs')).toEqual({ docs: [], suggestion: 'raft.heartbeatMs' })
    expect(explainField('zzzzzzzzzzzzzzzzzzzz')).toEqual({ docs: [], suggestion: undefined })
  })

  it('suggests what is near and nothing that is far', () => {
    expect(nearest('slotcuont', ['slotCount', 'name'])).toBe('slotCount')
    expect(nearest('ab', ['xyz'])).toBeUndefined()
    expect(nearest('x'.repeat(10_000), ['slotCount'])).toBeUndefined()
  })
})

describe('secrets', () => {
  it('are made once, for the owner only', () => {
    const data = join(folder, 'data')
    const made = ensureSecrets(data)
    expect(made.secret).toHaveLength(32)
    expect(made.credential).toMatch(/^[0-9a-f]{64}$/)
    expect(made.secret.toString('hex')).not.toBe(made.credential)
    expect(ensureSecrets(data)).toEqual(made)
    expect(readSecrets(data)).toEqual(made)
    expect(statSync(join(data, 'secret')).mode & 0o777).toBe(0o600)
    expect(statSync(join(data, 'credential')).mode & 0o777).toBe(0o600)
    expect(readFileSync(join(data, 'credential'), 'utf8').trim()).toBe(made.credential)
  })

  it('are closed to others again where somebody had opened them', () => {
    const data = join(folder, 'opened')
    const made = ensureSecrets(data)
    chmodSync(join(data, 'secret'), 0o644)
    expect(ensureSecrets(data)).toEqual(made)
    expect(statSync(join(data, 'secret')).mode & 0o777).toBe(0o600)
  })

  it('are refused when malformed', () => {
    const path = join(folder, 'short')
    writeFileSync(path, 'abc')
    expect(() => readHexFile(path)).toThrow(/64 hex digits/)
    expect(() => readSecrets(join(folder, 'nowhere'))).toThrow(/cannot be read/)
  })
})
