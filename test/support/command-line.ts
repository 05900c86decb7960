import { type ChildProcess, spawn } from 'node:child_process'
import { builtProgram } from './test-cluster.ts'

export interface Finished {
  /** Null when a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const usualPatienceMs = 60_000

/** `ringset` as a process of its own, seen from outside. */
export class CommandLine {
  readonly #directory: string
  readonly #data: string
  readonly #patienceMs: number
  readonly #children = new Set<ChildProcess>()

  /**
   * @param directory the working directory. @param data the data folder that commands find in RINGSET_DATA.
   * @param patienceMs after which a command is killed.
   */
  constructor(directory: string, data: string, patienceMs = usualPatienceMs) {
    this.#directory = directory
    this.#data = data
    this.#patienceMs = patienceMs
  }

  start(...words: readonly string[]): RunningCommand {
    const child = spawn(process.execPath, [builtProgram, ...words], {
      cwd: this.#directory,
      env: { ...process.env, RINGSET_DATA: this.#data, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    this.#children.add(child)
    child.once('close', () => this.#children.delete(child))
    return new RunningCommand(child, this.#patienceMs)
  }

  run(...words: readonly string[]): Promise<Finished> {
    return this.start(...words).finished
  }

  /** The JSON that a command prints; throws when it does not end with 0. */
  async json<T = Record<string, unknown>>(...words: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run(...words, '--json')
    if (code !== 0) throw new Error(`ringset ${words.join(' ')} ended with ${code}: ${stderr}`)
    return JSON.parse(stdout) as T
  }

  /** Ends what still runs. */
  close(): void {
    for (const child of this.#children) child.kill('SIGKILL')
  }
}

export class RunningCommand {
  readonly finished: Promise<Finished>
  readonly #child: ChildProcess
  #stdout = ''
  #stderr = ''

  constructor(child: ChildProcess, patienceMs: number) {
    this.#child = child
    child.stdout!.setEncoding('utf8').on('data', text => {
      this.#stdout += text
    })
    child.stderr!.setEncoding('utf8').on('data', text => {
      this.#stderr += text
    })
    this.finished = new Promise((resolve, reject) => {
      AbortSignal.timeout(patienceMs).addEventListener('abort', () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill('SIGKILL')
        reject(new Error(`still runs after ${patienceMs} ms: ${this.#stdout}${this.#stderr}`))
      })
      child.once('close', code => {
        resolve({ code, stdout: this.#stdout, stderr: this.#stderr })
      })
    })
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }
}
