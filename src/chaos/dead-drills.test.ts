import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { drillFolder, isOwnerDead, killAll, ownerStem, sweepFolders } from './dead-drills.ts'

/** A process that writes into its data folder until it is killed. */
const node = `
  const { writeFileSync } = require('node:fs')
  const folder = process.argv[process.argv.indexOf('--data') + 1]
  let count = 0
  setInterval(() => writeFileSync(folder + '/' + count++, ''), 1)
  console.log('up')`

describe.skipIf(process.platform !== 'linux')('what dead drills have left', () => {
  const children: ReturnType<typeof spawn>[] = []
  let temporary = ''
  // Others may sweep the system's.
  beforeEach(() => {
    temporary = mkdtempSync(join(tmpdir(), 'ringset-sweep-'))
    vi.stubEnv('TMPDIR', temporary)
  })
  afterEach(async () => {
    vi.unstubAllEnvs()
    await killAll(children.splice(0).map(({ pid }) => pid!))
    rmSync(temporary, { recursive: true, force: true })
  })

  /** @param change of the name that a folder of this process would have. */
  function folderNamed(change: (name: string) => string): string {
    const folder = drillFolder()
    rmSync(folder, { recursive: true })
    const renamed = join(tmpdir(), change(basename(folder)))
    mkdirSync(renamed)
    return renamed
  }

  async function nodeIn(folder: string): Promise<ReturnType<typeof spawn>> {
    const child = spawn(process.execPath, ['-e', node, 'node', '--data', folder], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    children.push(child)
    await once(child.stdout!, 'data')
    return child
  }

  const afterDeath = (name: string) =>
    name.replace(`-${ownerStem(process.pid)}-`, `-${process.pid}-1-`)
  const elsewhere = (name: string) => afterDeath(name).replace('chaos-', 'chaos-7')

  it('is killed and removed: nodes that still write, and their folder', async () => {
    const folder = folderNamed(afterDeath)
    const nodes = await Promise.all([nodeIn(folder), nodeIn(folder), nodeIn(folder)])
    const ends = nodes.map(one => once(one, 'exit'))
    await sweepFolders()
    expect(existsSync(folder)).toBe(false)
    for (const [, signal] of await Promise.all(ends)) expect(signal).toBe('SIGKILL')
  })

  it('is waited for: killed processes do nothing any more', async () => {
    // Much memory takes a while to be given back.
    const large = "globalThis.room = Buffer.alloc(400_000_000, 1); console.log('up')"
    const child = spawn(process.execPath, ['-e', `${large}; setInterval(() => {}, 1_000)`], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    children.push(child)
    await once(child.stdout, 'data')
    await killAll([child.pid!, 999_999_999])
    const left = existsSync(`/proc/${child.pid}`) ? readdirSync(`/proc/${child.pid}/task`) : []
    expect(left.length).toBeLessThan(2)
  })

  it.each([
    ['its drill lives', (name: string) => name],
    ['its drill sees other pids', elsewhere],
    ['the name is somebody else’s', (name: string) => afterDeath(name).replace('chaos', 'other')]
  ])('stays as it is where %s', async (_why, change) => {
    const folder = folderNamed(change)
    const child = await nodeIn(folder)
    await sweepFolders()
    expect(existsSync(folder)).toBe(true)
    expect([child.exitCode, child.signalCode]).toEqual([null, null])
  })

  it('is a folder, not a file of that name', async () => {
    const folder = folderNamed(afterDeath)
    rmSync(folder, { recursive: true })
    writeFileSync(folder, '')
    await sweepFolders()
    expect(existsSync(folder)).toBe(true)
  })

  it.skipIf(process.getuid?.() !== 0)('stays where it is another user’s', async () => {
    const folder = folderNamed(afterDeath)
    chownSync(folder, 1, 1)
    await sweepFolders()
    expect(existsSync(folder)).toBe(true)
  })

  it('is no reason not to drill where nobody may look', async () => {
    vi.stubEnv('TMPDIR', join(temporary, 'nowhere'))
    await sweepFolders()
  })

  it('is known by pid and start of who made it', () => {
    expect(isOwnerDead(ownerStem(process.pid))).toBe(false)
    expect(isOwnerDead(`${process.pid}-1`)).toBe(true)
    expect(isOwnerDead('999999999-5')).toBe(true)
  })
})
