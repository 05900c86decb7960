import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { judge } from '../../src/check/check.ts'
import { parseHistory } from '../../src/check/history.ts'
import { builtProgram } from '../support/test-cluster.ts'

const scenario = `name: short
proves: The drill itself works from its first process to its last.
seconds: 6
workload: { users: 12, messagesPerSecond: 40, backends: 1 }
faults:
  - { do: kill, target: leader of s1, at: 1, seconds: 0.5 }
  - { do: pause, target: follower of s2, at: 3, seconds: 1 }
`

/** A drill whose temporary files are where the test can see them. */
class Drill {
  readonly folder = mkdtempSync(join(tmpdir(), 'ringset-drill-'))
  readonly temporary = join(this.folder, 'tmp')
  readonly report = join(this.folder, 'report')
  readonly #child: ChildProcess
  readonly ended: Promise<number | null>
  output = ''
  progress = ''
  #onProgress: () => void = () => {}

  constructor() {
    mkdirSync(this.temporary)
    const file = join(this.folder, 'short.yaml')
    writeFileSync(file, scenario)
    const words = ['chaos', 'run', file, '--seed', '5', '--report', this.report, '--json']
    this.#child = spawn(process.execPath, [builtProgram, ...words], {
      env: { ...process.env, TMPDIR: this.temporary },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    this.#child.stdout!.on('data', data => {
      this.output += data
    })
    this.#child.stderr!.on('data', data => {
      this.progress += data
      this.#onProgress()
    })
    this.ended = new Promise(resolve => this.#child.once('exit', resolve))
  }

  /** Resolves once the drill has said `text`. */
  said(text: string): Promise<void> {
    return new Promise(resolve => {
      this.#onProgress = () => {
        if (this.progress.includes(text)) resolve()
      }
      this.#onProgress()
    })
  }

  interrupt(): void {
    this.#child.kill('SIGINT')
  }

  /** Command lines of processes that work in the drill's folder. */
  processes(): string[] {
    return readdirSync('/proc')
      .filter(name => /^\d+$/.test(name))
      .flatMap(pid => {
        try {
          const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
          return line.includes(this.temporary) ? [line] : []
        } catch {
          return []
        }
      })
  }
}

describe.skipIf(process.platform !== 'linux')('a chaos drill', () => {
  let drill: Drill
  beforeEach(() => {
    drill = new Drill()
  })
  afterEach(() => rmSync(drill.folder, { recursive: true, force: true }))

  it('loads a cluster, hurts it, judges it, and leaves nothing but its report', async () => {
    const exit = await drill.ended
    const verdict = JSON.parse(drill.output)
    expect(exit, drill.output + drill.progress).toBe(0)
    expect(verdict).toMatchObject({
      scenario: 'short',
      seed: 5,
      verdict: 'pass',
      lost: 0,
      duplicated: 0,
      faults: 2
    })
    expect(verdict.acked).toBeGreaterThan(200)
    expect(verdict.recoveryMs.kill.firstAck.count).toBeGreaterThan(0)
    expect(readdirSync(drill.report).sort()).toEqual([
      'history.jsonl',
      'logs',
      'report.html',
      'report.json'
    ])
    const history = readFileSync(join(drill.report, 'history.jsonl'))
    const judged = judge(parseHistory([history]), { without: ['presence', 'ownership'] })
    expect(judged.verdict).toBe('pass')
    expect(readdirSync(join(drill.report, 'logs'))).toHaveLength(9)
    expect(readdirSync(drill.temporary)).toEqual([])
    expect(drill.processes()).toEqual([])
  })

  it.each([
    ['while the cluster starts', 'short, seed 5'],
    ['while a leader is dead', 'kill ']
  ])('leaves nothing behind when it is interrupted %s', async (_when, text) => {
    await drill.said(text)
    drill.interrupt()
    expect(await drill.ended).not.toBe(0)
    expect(drill.progress).toContain('CANCELLED')
    expect(readdirSync(drill.temporary)).toEqual([])
    expect(drill.processes()).toEqual([])
  })
})
