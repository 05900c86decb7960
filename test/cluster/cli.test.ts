import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { wholeClusterConfig } from '../../src/launch/whole-cluster.ts'
import { builtProgram } from '../support/test-cluster.ts'

interface Result {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

const folder = mkdtempSync(join(tmpdir(), 'ringset-cli-'))
const data = join(folder, 'data')
const configFile = join(folder, 'cluster.yaml')

function start(words: readonly string[]) {
  const child = spawn(process.execPath, [builtProgram, ...words], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'pipe']
  })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    err += text
  })
  const ended = new Promise<Result>(resolve => {
    child.once('close', code => resolve({ code, out, err }))
  })
  return { child, ended, said: () => out, noted: () => err }
}

const ringset = (...words: string[]): Promise<Result> => start(words).ended

/** A command that must succeed, and its JSON. */
async function json(...words: string[]) {
  const { code, out, err } = await ringset(...words, '--data', data, '--json')
  expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' })
  return JSON.parse(out)
}

/** Resolves once it has said that the cluster is ready, or has ended. */
async function upInForeground() {
  const up = start(['up', '--data', data])
  const ready = new Promise<void>(resolve => {
    up.child.stdout.on('data', () => {
      if (up.said().includes('ringset down')) resolve()
    })
  })
  await Promise.race([ready, up.ended])
  return up
}

beforeAll(async () => {
  if (!existsSync(builtProgram)) throw new Error('build the program first: npm run build')
  writeFileSync(configFile, JSON.stringify(await wholeClusterConfig(['s1', 's2'])))
})

afterAll(async () => {
  await ringset('down', '--data', data)
  rmSync(folder, { recursive: true, force: true })
})

describe('wrong usage and bad surroundings', () => {
  it.each([
    ['an unknown command', ['frob'], 2, 'USAGE'],
    ['an unknown option', ['status', '--jsn'], 2, 'USAGE'],
    ['a missing argument', ['route'], 2, 'USAGE'],
    ['a missing subcommand', ['node'], 2, 'USAGE'],
    ['a bad number', ['listen', '--as', 'a', '--count', '0'], 2, 'USAGE'],
    ['an unknown error code', ['explain', 'NO_LEDER'], 2, 'USAGE'],
    ['no cluster', ['status', '--data', join(folder, 'none')], 3, 'NOT_RUNNING'],
    ['no such file', ['config', 'check', join(folder, 'none.yaml')], 1, 'CONFIG_INVALID']
  ])('%s is one line with code and remedy', async (_, words, exitCode, errorCode) => {
    const { code, out, err } = await ringset(...words)
    expect({ code, out }).toEqual({ code: exitCode, out: '' })
    expect(err).toMatch(new RegExp(`^error ${errorCode}: [^\\n]+\\.\\n$`))
  })

  it('a bad configuration is refused with its problems, and nothing is started', async () => {
    const bad = join(folder, 'bad.yaml')
    writeFileSync(bad, 'cluster: {name: x, colour: red}\nsets: []\nnodes: []\n')
    const checked = await ringset('config', 'check', bad, '--json')
    expect(checked.code).toBe(1)
    expect(JSON.parse(checked.out)).toMatchObject({ ok: false, problems: [{ line: 1 }, {}, {}] })
    const refused = await ringset('up', '-c', bad, '--data', join(folder, 'never'))
    expect(refused.code).toBe(1)
    expect(refused.err).toContain('bad.yaml:1:20: cluster.colour is unknown')
    expect(existsSync(join(folder, 'never'))).toBe(false)
  })
})

describe('a cluster', () => {
  it('starts, chats, survives a kill and stops', async () => {
    const up = await json('up', '-c', configFile, '--detach')
    expect(up.nodes).toHaveLength(9)
    expect(up.sets.map(({ id }: { id: string }) => id)).toEqual(['s1', 's2'])
    for (const { pid } of up.nodes) expect(pid).toBeGreaterThan(1)

    const again = await ringset('up', '-c', configFile, '--data', data)
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('error ALREADY_RUNNING')])

    const status = await json('status')
    expect(status.sets.map(({ state }: { state: string }) => state)).toEqual(['active', 'active'])
    expect(status.arbiter.replicas).toHaveLength(3)
    expect((await json('table')).epoch).toBe(status.epoch)
    expect(await json('route', 'ann')).toMatchObject({ uid: 'ann', online: [] })
    expect(await json('token', 'ann', '--ttl', '60')).toMatchObject({ token: expect.any(String) })

    const looks = (
      await ringset('top', '--data', data, '--json', '--count', '2', '--interval', '0.3')
    ).out
    const [look] = looks.split('\n').map(line => JSON.parse(line || '{}'))
    expect(looks.trimEnd().split('\n')).toHaveLength(2)
    expect(look).toMatchObject({ perSecond: { acks: 0 }, sets: [{ id: 's1' }, { id: 's2' }] })
    const healthy = await json('doctor')
    expect(healthy.ok).toBe(true)
    const checks = new Set(healthy.findings.map(({ check }: { check: string }) => check))
    for (const check of ['config', 'secrets', 'ports', 'leaders', 'tables', 'clocks'])
      expect(checks).toContain(check)

    const sent = await json('send', '--as', 'ann', '--to', 'bob', 'one')
    expect(sent).toMatchObject({ session: 'p2p/ann/bob', msgid: 1, duplicate: false })
    const { leader } = up.sets[0]
    expect(await json('node', 'kill', leader)).toMatchObject({ id: leader, state: 'killed' })
    const ill = await ringset('doctor', '--data', data)
    expect([ill.code, ill.err]).toEqual([1, ''])
    expect(ill.out).toMatch(
      new RegExp(`^fail +started +node ${leader} was started and is gone`, 'm')
    )
    expect(ill.out).toContain(`→ ringset node start ${leader}`)
    expect(await json('send', '--as', 'ann', '--to', 'bob', 'two')).toMatchObject({ msgid: 2 })
    expect(await json('node', 'start', leader)).toMatchObject({ id: leader, state: 'running' })

    const words = ['listen', '--as', 'bob', '--data', data, '--json', '--timeout', '20']
    const heard = await ringset(...words, '--count', '1')
    expect(JSON.parse(heard.out)).toMatchObject({ msgid: 1, from: 'ann', body: 'one' })
    // The second call goes on where the first one ended.
    const rest = start([...words, '--count', '2'])
    await json('send', '--as', 'bob', '--to', 'ann', 'three')
    const lines = (await rest.ended).out
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(lines.map(({ msgid, body }) => [msgid, body])).toEqual([
      [2, 'two'],
      [3, 'three']
    ])

    const late = await ringset(
      'listen',
      '--as',
      'bob',
      '--data',
      data,
      '--count',
      '1',
      '--timeout',
      '0.3'
    )
    expect([late.code, late.err]).toEqual([3, expect.stringContaining('error TIMEOUT')])

    const history = await json('history', '--as', 'ann', '--with', 'bob', '--limit', '2')
    expect(history.map(({ body }: { body: string }) => body)).toEqual(['two', 'three'])

    const stranger = ['history', '--as', 'eve', '--with', 'ann', '--data', data]
    expect((await ringset(...stranger)).code).toBe(0)
    expect((await json('down')).stopped).toHaveLength(9)
    expect((await ringset('down', '--data', data)).code).toBe(3)
    const asleep = await json('doctor')
    expect(asleep.findings.at(-1)).toMatchObject({ check: 'cluster', level: 'warn' })
    expect((await ringset('top', '--data', data)).code).toBe(3)
  })

  it('is watched until Ctrl-C, a line each time where nothing can be drawn', async () => {
    await json('up', '--detach')
    const top = start(['top', '--data', data, '--interval', '0.2'])
    const twice = new Promise<void>(resolve => {
      top.child.stdout.on('data', () => {
        if (top.said().split('\n').length > 2) resolve()
      })
    })
    await Promise.race([twice, top.ended])
    top.child.kill('SIGINT')
    const { code, out, err } = await top.ended
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/^\S+Z {2}sent 0\/s {2}pushed 0\/s .* s1 \S+ 0\/s {2}s2 \S+ 0\/s$/m)
    await json('down')
  })

  it('in the foreground stops cleanly on Ctrl-C', async () => {
    const up = await upInForeground()
    up.child.kill('SIGINT')
    // npm hands on to its child what the terminal has sent to both.
    up.child.kill('SIGINT')
    const { code, out, err } = await up.ended
    expect(code, err).toBe(0)
    expect(out).toContain('9 processes')
    expect(err.match(/^stopped /gm)).toHaveLength(9)
    expect((await ringset('status', '--data', data)).code).toBe(3)
  })

  it('in the foreground stops all that it has started when its terminal goes', async () => {
    const up = await upInForeground()
    const { nodes } = await json('status')
    up.child.stdout.destroy()
    up.child.stderr.destroy()
    up.child.kill('SIGHUP')
    expect((await up.ended).code).toBe(0)
    expect(nodes).toHaveLength(9)
    expect(nodes.filter(({ pid }: { pid: number }) => existsSync(`/proc/${pid}`))).toEqual([])
    expect((await ringset('status', '--data', data)).code).toBe(3)
  })
})
