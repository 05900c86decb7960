import { execFileSync, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DataFolder, dataFolder } from '../config/data-folder.ts'

export interface NodeProcess {
  readonly id: string
  readonly pid: number
  /** Wall clock, milliseconds since 1970. */
  readonly startedAtMs: number
}

/** How a process that this one started has ended. */
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const pollMs = 20

/**
 * Starts one node in a session of its own, so that neither Ctrl-C nor the end of this process reaches it. Its output goes to its log file.
 * @param program what stands between `process.execPath` and the command. @param onEnd called when it ends while this process lives.
 * @param enter what stands before all that and becomes the node by exec, so that it is the same process.
 */
export function spawnNode(
  id: string,
  folder: DataFolder,
  program: readonly string[],
  onEnd: (ending: Ending) => void,
  enter: readonly string[] = []
): NodeProcess {
  mkdirSync(folder.nodeFolder(id), { recursive: true, mode: 0o700 })
  const output = openSync(folder.nodeLogFile(id), 'a')
  try {
    const run = ['node', 'run', id, '-c', folder.configFile, '--data', folder.root]
    const [command, ...words] = [...enter, process.execPath, ...program, ...run]
    const child = spawn(command!, words, { detached: true, stdio: ['ignore', output, output] })
    child.once('error', () => onEnd({ code: null, signal: null }))
    child.once('exit', (code, signal) => onEnd({ code, signal }))
    child.unref()
    return { id, pid: child.pid ?? 0, startedAtMs: Date.now() }
  } finally {
    closeSync(output)
  }
}

/** Whether the process lives and really is this node of this data folder: process ids are used again. */
export function isRunning({ id, pid }: NodeProcess, folder: DataFolder): boolean {
  if (pid <= 0 || !exists(pid)) return false
  const words = commandLine(pid)
  if (words === undefined) return true
  const joined = ` ${words.join(' ')} `
  if (!joined.includes(` node run ${id} `)) return false
  if (joined.includes(` --data ${folder.root} `)) return true
  // It may have been started by another path to the same folder.
  const data = words[words.indexOf('--data') + 1]
  return data !== undefined && words.includes('--data') && dataFolder(data).root === folder.root
}

/** Sends a signal unless the process is gone or was never ours. Returns whether it was sent. */
export function signalNode(node: NodeProcess, folder: DataFolder, signal: NodeJS.Signals): boolean {
  if (!isRunning(node, folder)) return false
  try {
    process.kill(node.pid, signal)
    return true
  } catch {
    return false
  }
}

/** Waits until the process is gone. @returns false when it is still there after `timeoutMs`, or `hurry` was raised. */
export async function waitGone(
  node: NodeProcess,
  folder: DataFolder,
  timeoutMs: number,
  hurry?: AbortSignal
): Promise<boolean> {
  const endMs = performance.now() + timeoutMs
  while (isRunning(node, folder)) {
    if (performance.now() > endMs || hurry?.aborted) return false
    await sleep(pollMs)
  }
  return true
}

/** The last lines of a node's log, at most `maxBytes`; empty when there is none. */
export function logTail(id: string, folder: DataFolder, maxBytes = 4096): string[] {
  try {
    const path = folder.nodeLogFile(id)
    const size = statSync(path).size
    const bytes = Buffer.alloc(Math.min(size, maxBytes))
    const file = openSync(path, 'r')
    try {
      readSync(file, bytes, 0, bytes.length, size - bytes.length)
    } finally {
      closeSync(file)
    }
    return bytes
      .toString('utf8')
      .split('\n')
      .filter(line => line.trim() !== '')
  } catch {
    return []
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Undefined where the system does not tell. A dead process that nobody has collected has an empty one. */
function commandLine(pid: number): string[] | undefined {
  if (process.platform === 'linux') {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EACCES' ? undefined : []
    }
  }
  try {
    const line = execFileSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore']
    })
    return [line.trim()]
  } catch {
    return undefined
  }
}
