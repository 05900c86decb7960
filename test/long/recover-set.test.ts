import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { breakType, eraMessages } from '../../src/protocol/eras.ts'
import { CommandLine } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { TestCluster } from '../support/test-cluster.ts'

interface Line {
  readonly msgid: number
  readonly type: number
  readonly body: string
}

describe('a set that loses two of its three routers for good', () => {
  let cluster: TestCluster
  let ringset: CommandLine
  let ann: string
  let bob: string
  let cleo: string

  beforeAll(async () => {
    cluster = await TestCluster.start({ cluster: { name: 'lost', slotCount: 64 } })
    ringset = new CommandLine(cluster.directory, cluster.directory)
    const inS1 = await cluster.usersOf('s1', 2)
    ann = inS1[0]!
    bob = inS1[1]!
    cleo = (await cluster.usersOf('s2', 1))[0]!
  })
  afterAll(async () => {
    ringset?.close()
    await cluster?.close()
  })

  const history = async (reader: string, other: string): Promise<Line[]> => {
    const { stdout, code, stderr } = await ringset.run(
      ...['history', '--as', reader, '--with', other, '--from', '1', '--json']
    )
    expect(code, stderr).toBe(0)
    return JSON.parse(stdout) as Line[]
  }

  const codeOf = async (...words: string[]): Promise<string> => {
    const { stderr } = await ringset.run(...words, '--json')
    return JSON.parse(stderr.trim().split('\n').at(-1)!).error.code
  }

  it('is not to be recovered while it needs no help', async () => {
    expect(await codeOf('set', 'recover', 's1', '--accept-loss')).toBe('SET_ALIVE')
    expect(await codeOf('set', 'recover', 's9')).toBe('SET_UNKNOWN')
  })

  it('says what may be lost, and changes nothing before that is accepted', async () => {
    for (const [from, to] of [
      [ann, bob],
      [ann, cleo],
      [cleo, ann]
    ] as const) {
      await ringset.json('send', '--as', from, '--to', to, `from ${from}`)
    }
    const leader = await cluster.leader('s1')
    const dead = cluster.routerNodes('s1').filter(id => id !== leader)
    for (const id of dead) {
      await cluster.cluster.killNode(id)
      rmSync(join(cluster.directory, 'nodes', id), { recursive: true, force: true })
    }
    await eventually('nobody leads s1', 20_000, async () => {
      const { sets } = await cluster.status()
      return sets.find(({ id }) => id === 's1')?.router.leader === null ? true : undefined
    })
    const { code, stdout, stderr } = await ringset.run('set', 'recover', 's1')
    expect(code).not.toBe(0)
    const said = stdout + stderr
    expect(said).toContain(leader)
    for (const id of dead) expect(said).toContain(id)
    expect(said).toMatch(/lost|gone/)
    expect((await cluster.status()).sets.find(({ id }) => id === 's1')?.slots).toBeGreaterThan(0)
  })

  it('goes on in the other set, with all that was acknowledged', async () => {
    const done = await ringset.run('set', 'recover', 's1', '--accept-loss')
    expect(done.code, done.stderr).toBe(0)
    const { sets } = await cluster.newestTable()
    expect(sets.map(({ id }) => id)).toEqual(['s2'])
    const lines = await history(bob, ann)
    expect(lines.map(({ type, body }) => [type, body])).toEqual([
      [0, `from ${ann}`],
      [breakType, '1']
    ])
    for (const [reader, other] of [
      [ann, cleo],
      [cleo, ann]
    ] as const) {
      const bodies = (await history(reader, other)).map(({ body }) => body)
      expect(bodies).toEqual(expect.arrayContaining([`from ${ann}`, `from ${cleo}`]))
    }
    const sent = await ringset.json<{ msgid: number }>('send', '--as', bob, '--to', ann, 'again')
    expect(sent.msgid).toBe(eraMessages + 1)
    expect((await history(ann, bob)).at(-1)).toMatchObject({ msgid: sent.msgid, body: 'again' })
  })
})
