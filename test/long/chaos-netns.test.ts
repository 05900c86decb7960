import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { CommandLine } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { makesNamespaces, namespaceTraces, ownNamespace } from '../support/namespaces.ts'

const wires = `name: wires
proves: Links that the system cuts are lost links, and come back.
seconds: 2
sets: 1
workload: { users: 6, messagesPerSecond: 20, backends: 1 }
faults:
  - { do: cut, target: leader of s1, at: 0.1, seconds: 1.5 }
expect: { errors: 0 }
`
const delayed = wires.replace('do: cut', 'do: delay')
const lossy = wires
  .replace('do: cut, target', 'do: loss, share: 0.2, target')
  .replace('seconds: 2', 'seconds: 5')
  .replace('seconds: 1.5', 'seconds: 4')
/** Whether its kernel knows netem. */
function knowsNetem(): boolean {
  spawnSync('ip', ['netns', 'add', ownNamespace])
  const words = ['-n', ownNamespace, 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms']
  const known = spawnSync('tc', words).status === 0
  spawnSync('ip', ['netns', 'del', ownNamespace])
  return known
}

/** Whether losses can be had: nft, and a kernel that does as it says. */
function knowsLosses(): boolean {
  spawnSync('ip', ['netns', 'add', ownNamespace])
  const words = ['netns', 'exec', ownNamespace, 'nft', 'add', 'table', 'bridge', 'ringset']
  const known = spawnSync('ip', words).status === 0
  spawnSync('ip', ['netns', 'del', ownNamespace])
  return known
}

/** How many segments the network of a process has had to send again. */
function sentAgain(pid: number): number {
  const [names = '', values = ''] = readFileSync(`/proc/${pid}/net/snmp`, 'utf8')
    .split('\n')
    .filter(line => line.startsWith('Tcp:'))
  return Number(values.split(' ')[names.split(' ').indexOf('RetransSegs')])
}

/** Ids of processes in namespaces of drills. */
function processes(): number[] {
  const spaces = namespaceTraces().flatMap(line => /^ringset-\S+/.exec(line) ?? [])
  return spaces.flatMap(space => {
    const { stdout } = spawnSync('ip', ['netns', 'pids', space], { encoding: 'utf8' })
    return stdout.split('\n').filter(Boolean).map(Number)
  })
}

describe('a drill in network namespaces', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringset-netns-'))
  const ringset = new CommandLine(folder, folder)
  const file = join(folder, 'drill.yaml')
  afterAll(() => {
    ringset.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function refusal(): Promise<{ code: string; text: string }> {
    const { code, stderr } = await ringset.run('chaos', 'run', file, '--netns', '--json')
    expect(code, stderr).toBe(1)
    return JSON.parse(stderr.trim().split('\n').at(-1)!).error
  }

  it('is refused where it cannot be, else cuts links, and leaves nothing: not even what a dead drill left', async () => {
    writeFileSync(file, wires)
    if (!makesNamespaces()) {
      const { code, text } = await refusal()
      expect([code, text]).toEqual(['DRILL_UNABLE', expect.stringMatching(/--netns takes Linux/)])
      return
    }
    const dead = ringset.start('chaos', 'run', file, '--netns')
    const begun = () => Promise.resolve(processes().length >= 6)
    await eventually('its nodes run', 20_000, begun)
    dead.signal('SIGKILL')
    await dead.finished
    const orphans = processes()
    expect(orphans.length).toBeGreaterThanOrEqual(6)
    const [, data = ''] = /--data\0([^\0]+)/.exec(
      readFileSync(`/proc/${orphans[0]}/cmdline`, 'utf8')
    )!
    expect(existsSync(data)).toBe(true)
    const words = ['chaos', 'run', file, '--netns', '--seed', '5', '--report', join(folder, 'r')]
    const report = await ringset.json(...words)
    expect(report).toMatchObject({ scenario: 'wires', verdict: 'pass', faults: 1 })
    expect((report as { recoveryMs: never }).recoveryMs).toMatchObject({
      cut: { elected: { count: 1 } }
    })
    expect(namespaceTraces()).toEqual([])
    expect(existsSync(data)).toBe(false)
    for (const pid of orphans) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })

  it('loses segments below TCP, which sends them again', async () => {
    writeFileSync(file, lossy)
    if (!makesNamespaces() || !knowsLosses()) {
      const { code, text } = await refusal()
      expect([code, text]).toEqual(['DRILL_UNABLE', expect.stringMatching(/nftables|takes Linux/)])
      return
    }
    const drill = ringset.start('chaos', 'run', file, '--netns', '--json')
    const again = () => processes().reduce((sum, pid) => sum + sentAgain(pid), 0)
    // A handful are sent again while the nodes start.
    await eventually('segments are lost', 30_000, () => Promise.resolve(again() > 40))
    const { code, stdout } = await drill.finished
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      expect.objectContaining({ verdict: 'pass', faults: 1 })
    ])
    expect(namespaceTraces()).toEqual([])
  })

  it('is refused by name for what the kernel does not know', async () => {
    writeFileSync(file, delayed)
    if (makesNamespaces() && knowsNetem()) {
      const report = await ringset.json('chaos', 'run', file, '--netns')
      expect(report).toMatchObject({ verdict: 'pass', faults: 1 })
    } else {
      const { code, text } = await refusal()
      const reason = makesNamespaces()
        ? /delay with --netns needs tc and the kernel's netem/
        : /takes Linux/
      expect([code, text]).toEqual(['DRILL_UNABLE', expect.stringMatching(reason)])
    }
    expect(namespaceTraces()).toEqual([])
  })
})
