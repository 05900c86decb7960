import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dataFolder } from '../../src/config/data-folder.ts'
import type { ClusterConfigInput } from '../../src/config/schema.ts'
import { freePorts } from '../../src/launch/free-ports.ts'
import { isRunning } from '../../src/launch/node-process.ts'
import { CommandLine, type Finished } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'

type RoleInput = ClusterConfigInput['nodes'][number]['roles'][number]

/** One set on three nodes, each with a router and an arbiter; the first two also take clients. */
async function threeNodes(): Promise<ClusterConfigInput> {
  const ports = await freePorts(8)
  const nodes = ['n1', 'n2', 'n3'].map((id, i) => {
    const replica = i + 1
    const roles: RoleInput[] = [
      { role: 'router', set: 's1', replica },
      { role: 'arbiter', replica }
    ]
    if (replica < 3) {
      roles.push({ role: 'transfer', id: `t${replica}`, set: 's1', tcpPort: ports[6 + i]! })
      roles.push({ role: 'logic', id: `l${replica}`, set: 's1' })
    }
    return { id, peerPort: ports[2 * i]!, controlPort: ports[2 * i + 1]!, roles }
  })
  return { cluster: { name: 'cli' }, sets: [{ id: 's1' }], nodes }
}

interface UpJson {
  readonly nodes: readonly { readonly id: string; readonly pid: number }[]
  readonly sets: readonly { readonly id: string; readonly leader: string }[]
  readonly epoch: number
}

interface StatusJson {
  readonly clusterId: string
  readonly epoch: number
  readonly sets: readonly { readonly state: string; readonly router: { leader: string | null } }[]
  readonly nodes: readonly { readonly id: string; readonly state: string; readonly pid: number }[]
}

/** A failed command says so in one line with its code, and prints nothing else. */
function expectRefusal(done: Finished, exitCode: number, code: string): void {
  expect(done.stderr).toMatch(new RegExp(`^error ${code}: .+\\n$`))
  expect([done.code, done.stdout]).toEqual([exitCode, ''])
}

describe('the command line', () => {
  let directory: string
  let config: string
  let ringset: CommandLine
  const isAlive = (node: { id: string; pid: number }): boolean =>
    isRunning({ ...node, startedAtMs: 0 }, dataFolder(join(directory, 'data')))

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ringset-cli-'))
    config = join(directory, 'three.yaml')
    writeFileSync(config, JSON.stringify(await threeNodes()))
    ringset = new CommandLine(directory, join(directory, 'data'))
  })
  afterAll(async () => {
    await ringset.run('down')
    ringset.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('refuses what it does not understand with 2, and what is not there with 3 or 1', async () => {
    const [none, word, option, missing, number, absent, unknown] = await Promise.all([
      ringset.run(),
      ringset.run('fly'),
      ringset.run('status', '--fast'),
      ringset.run('send', '--as', 'ann', 'hello'),
      ringset.run('token', 'ann', '--ttl', '-1'),
      ringset.run('status'),
      ringset.run('explain', 'NO_SUCH_CODE')
    ])
    expect(none.stdout + none.stderr).toContain('Usage')
    for (const wrong of [word, option, missing, number]) expectRefusal(wrong, 2, 'USAGE')
    expectRefusal(absent, 3, 'NOT_RUNNING')
    expect(unknown.code).toBeGreaterThan(0)
    expectRefusal(await ringset.run('down'), 3, 'NOT_RUNNING')
    const help = await ringset.run('send', '--help')
    expect([help.code, help.stderr]).toEqual([0, ''])
    expect(help.stdout).toContain('Example')
    const failed = await ringset.run('status', '--json')
    expect(JSON.parse(failed.stderr)).toMatchObject({ error: { code: 'NOT_RUNNING' } })
  })

  it('names every problem of a bad configuration and starts nothing with it', async () => {
    expect((await ringset.run('config', 'check', config)).code).toBe(0)
    const bad: [string, RegExp][] = [
      ['nodes: [', /bad\.yaml/],
      ['cluster: { name: x }\nsets: [{ id: s1 }]\nnodes: []\nspeed: 9\n', /speed/],
      [JSON.stringify({ ...(await threeNodes()), raft: { heartbeatMs: 9_000 } }), /heartbeatMs/]
    ]
    const file = join(directory, 'bad.yaml')
    for (const [text, problem] of bad) {
      writeFileSync(file, text)
      const done = await ringset.run('config', 'check', file)
      expect([done.code, done.stdout]).toEqual([1, ''])
      expect(done.stderr).toMatch(problem)
      expect(done.stderr).toMatch(/error CONFIG_INVALID: .+\n$/)
      expect((await ringset.run('up', '--detach', '-c', file)).code).toBe(1)
    }
    expect((await ringset.run('config', 'check', join(directory, 'none.yaml'))).code).toBe(1)
    expectRefusal(await ringset.run('status'), 3, 'NOT_RUNNING')
  })

  it('starts a cluster, sends, listens, reads, and shows who is where', async () => {
    const up = await ringset.json<UpJson>('up', '--detach', '-c', config)
    expect(up.nodes.map(({ id }) => id)).toEqual(['n1', 'n2', 'n3'])
    expect(up.nodes.every(isAlive)).toBe(true)
    expectRefusal(await ringset.run('up', '--detach', '-c', config), 1, 'ALREADY_RUNNING')

    const status = await ringset.json<StatusJson>('status')
    expect(status.sets).toMatchObject([{ state: 'active', router: { leader: up.sets[0]!.leader } }])
    const table = await ringset.json<{ epoch: number; slotCount: number }>('table')
    expect(table.epoch).toBe(status.epoch)
    expect(await ringset.json('route', 'ann')).toMatchObject({ uid: 'ann', set: 's1', online: [] })
    const { token } = await ringset.json<{ token: string }>('token', 'ann', '--ttl', '60')
    expect(token).toMatch(/^rs1\./)

    const listening = ringset.start('listen', '--as', 'bob', '--count', '2', '--timeout', '50')
    await eventually('bob listens', 20_000, () => listening.stderr.includes('listening'))
    expect(await ringset.json('route', 'bob')).toMatchObject({ online: [{ class: 'bot' }] })
    const sent = await ringset.json('send', '--as', 'ann', '--to', 'bob', 'hello')
    expect(sent).toMatchObject({ session: 'p2p/ann/bob', msgid: 1, duplicate: false })
    expect((await ringset.run('send', '--as', 'ann', '--to', 'bob', 'two\u001b[31m')).code).toBe(0)
    const heard = await listening.finished
    expect(heard.code).toBe(0)
    expect(heard.stdout).toMatch(/#1 ann: hello\n.*#2 ann: two/)
    expect(heard.stdout).not.toContain('\u001b')
    const messages = await ringset.json<object[]>('history', '--as', 'bob', '--with', 'ann')
    expect(messages).toMatchObject([
      { msgid: 1, from: 'ann', body: 'hello' },
      { msgid: 2, from: 'ann' }
    ])
    const late = await ringset.run('listen', '--as', 'cid', '--count', '1', '--timeout', '1')
    expectRefusal({ ...late, stderr: late.stderr.replace(/^listening.*\n/, '') }, 3, 'TIMEOUT')
  })

  it('kills, starts, pauses, resumes and stops nodes while messages go on', async () => {
    const { sets } = await ringset.json<StatusJson>('status')
    const leader = sets[0]!.router.leader!
    expect(await ringset.json('node', 'kill', leader)).toMatchObject({
      id: leader,
      state: 'killed'
    })
    const text = ['send', '--as', 'ann', '--to', 'bob'] as const
    expect(await ringset.json(...text, 'three')).toMatchObject({ msgid: 3 })
    expectRefusal(await ringset.run('node', 'kill', leader), 3, 'NOT_RUNNING')
    expect(await ringset.json('node', 'start', leader)).toMatchObject({ state: 'running' })
    expectRefusal(await ringset.run('node', 'start', leader), 1, 'ALREADY_RUNNING')
    expectRefusal(await ringset.run('node', 'stop', 'n9'), 1, 'NODE_UNKNOWN')

    const next = await eventually('a leader', 20_000, async () => {
      return (await ringset.json<StatusJson>('status')).sets[0]!.router.leader
    })
    expect(await ringset.json('node', 'pause', next)).toMatchObject({ state: 'paused' })
    const paused = await ringset.json<StatusJson>('status')
    expect(paused.nodes.find(({ id }) => id === next)!.state).toBe('unreachable')
    expect(await ringset.json(...text, 'four')).toMatchObject({ msgid: 4 })
    expect(await ringset.json('node', 'resume', next)).toMatchObject({ state: 'running' })
    expect(await ringset.json('node', 'stop', 'n3')).toMatchObject({ state: 'stopped' })
    expect(await ringset.json(...text, 'five')).toMatchObject({ msgid: 5 })
    expect((await ringset.run('node', 'start', 'n3')).code).toBe(0)
  })

  it('stops everything with down, and up goes on with all state until Ctrl-C', async () => {
    const before = await ringset.json<StatusJson>('status')
    const down = await ringset.json<{ stopped: object[] }>('down')
    expect(down.stopped).toHaveLength(3)
    expect(before.nodes.some(isAlive)).toBe(false)

    for (const body of ['six', 'seven']) {
      const up = ringset.start('up')
      await eventually('the cluster is ready', 50_000, () => up.stdout.includes('ready in'))
      const status = await ringset.json<StatusJson>('status')
      expect(status.clusterId).toBe(before.clusterId)
      expect(status.epoch).toBeGreaterThanOrEqual(before.epoch)
      expect((await ringset.run('send', '--as', 'ann', '--to', 'bob', body)).code).toBe(0)
      up.signal('SIGINT')
      const { code, stderr } = await up.finished
      expect(code, stderr).toBe(0)
      expect(status.nodes.some(isAlive)).toBe(false)
      expectRefusal(await ringset.run('status'), 3, 'NOT_RUNNING')
    }
    await ringset.json('up', '--detach')
    const messages = await ringset.json<{ msgid: number; body: string }[]>(
      ...['history', '--as', 'bob', '--with', 'ann']
    )
    expect(messages.map(({ msgid }) => msgid)).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect(messages.map(({ body }) => body).slice(2)).toEqual([
      'three',
      'four',
      'five',
      'six',
      'seven'
    ])
  })
})
