import { type ChildProcess, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { builtProgram } from './test-cluster.ts'

/** A drill whose temporary files are where the test can see them. */
export class Drill {
  readonly folder = mkdtempSync(join(tmpdir(), 'ringset-drill-'))
  readonly temporary = join(this.folder, 'tmp')
  readonly report = join(this.folder, 'report')
  readonly #child: ChildProcess
  readonly ended: Promise<number | null>
  output = ''
  progress = ''
  #onProgress: () => void = () => {}

  /** @param scenario a name, or the text of a file. */
  constructor(scenario: string, ...more: readonly string[]) {
    mkdirSync(this.temporary)
    const file = join(this.folder, 'scenario.yaml')
    const named = !scenario.includes('\n')
    if (!named) writeFileSync(file, scenario)
    const what = ['chaos', 'run', named ? scenario : file, '--json', ...more]
    const words = [...what, '--seed', '5', '--report', this.report]
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
    this.ended = new Promise(resolve => this.#child.once('close', resolve))
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

  /** Every port of the cluster, while its configuration is there. */
  ports(): number[] {
    const [cluster = ''] = readdirSync(this.temporary)
    const file = join(this.temporary, cluster, 'config.yaml')
    const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
    return [...text.matchAll(/Port": (\d+)/g)].map(([, port]) => Number(port))
  }

  /** Command lines of processes that work in the drill's folder, by process id. */
  processes(): Map<number, string> {
    const found = new Map<number, string>()
    for (const name of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
      try {
        const line = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ')
        if (line.includes(this.temporary)) found.set(Number(name), line)
      } catch {
        // It has ended meanwhile.
      }
    }
    return found
  }
}

/** Those of the ports that somebody listens on. */
export async function taken(ports: readonly number[]): Promise<number[]> {
  const tries = ports.map(
    port =>
      new Promise<number[]>(resolve => {
        const server = createServer()
        server.once('error', () => resolve([port]))
        server.listen(port, '127.0.0.1', () => server.close(() => resolve([])))
      })
  )
  return (await Promise.all(tries)).flat()
}
