import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const folderPrefix = 'ringset-chaos-'
/** From SIGKILL until a process is gone, usually some milliseconds. */
const killedWithinMs = 5_000

/** A new temporary folder for a drill of this process, by whose name others know whether its owner is alive. */
export function drillFolder(): string {
  return mkdtempSync(
    join(tmpdir(), `${folderPrefix}${processSpace() ?? 0}-${ownerStem(process.pid)}-`)
  )
}

/** Pid and start of a process, as in the names of what it owns; without a start where the system does not tell. */
export function ownerStem(pid: number): string {
  return `${pid}-${startOf(pid) ?? 0}`
}

/** @param stem as `ownerStem` made it, once, of a process of this machine that sees the same pids. */
export function isOwnerDead(stem: string): boolean {
  return ownerStem(Number.parseInt(stem, 10)) !== stem
}

/**
 * Kills the nodes that drills of this user have left which were killed themselves, and removes their folders. Only on Linux; elsewhere, and among
 * those who see other pids than this process, nobody can tell whether a drill is dead.
 */
export async function sweepFolders(): Promise<void> {
  const space = processSpace()
  if (space === undefined) return
  const names = entriesOf(tmpdir()).filter(name => {
    const [, there, stem] = /^ringset-chaos-(\d+)-(\d+-\d+)-\w+$/.exec(name) ?? []
    return stem !== undefined && there === space && isOwnerDead(stem)
  })
  const folders = names.map(name => join(tmpdir(), name)).filter(isOwnFolder)
  if (folders.length === 0) return
  await killAll(pids().filter(pid => folders.includes(dataFolderOf(pid) ?? '')))
  for (const folder of folders) {
    try {
      rmSync(folder, { recursive: true, force: true })
    } catch {
      // No reason not to drill; the next one tries again.
    }
  }
}

/** Waits until they are gone as well, for as long as one lives it writes; but not for ever, as one may hang in its disk. */
export async function killAll(pids: readonly number[]): Promise<void> {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It is gone, or somebody else's.
    }
  }
  const untilMs = performance.now() + killedWithinMs
  while (pids.some(runs) && performance.now() < untilMs) await pause(20)
}

function isOwnFolder(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  return stat?.isDirectory() === true && stat.uid === process.getuid?.()
}

function pids(): number[] {
  return entriesOf('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
}

/** What follows `--data` on the command line of a process. */
function dataFolderOf(pid: number): string | undefined {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    const at = words.indexOf('--data')
    return at < 0 ? undefined : words[at + 1]
  } catch {
    return undefined
  }
}

/** Which pids this process sees, as a number; undefined where the system does not tell. */
function processSpace(): string | undefined {
  try {
    return /\d+/.exec(basename(readlinkSync('/proc/self/ns/pid')))?.[0]
  } catch {
    return undefined
  }
}

/** When a process started, by the clock of the system; undefined when there is none. */
function startOf(pid: number): string | undefined {
  return statOf(pid)?.[19]
}

/** Whether a process is there that can do something: not one whose end nobody has taken note of. Its first thread may end before the others. */
function runs(pid: number): boolean {
  const state = statOf(pid)?.[0]
  return state !== undefined && (state !== 'Z' || threadsOf(pid) > 1)
}

function threadsOf(pid: number): number {
  return entriesOf(`/proc/${pid}/task`).length
}

/** None where nobody may look. */
function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** What `/proc` says of a process, from its state on; undefined when there is none. */
function statOf(pid: number): string[] | undefined {
  try {
    // The name of the program, in brackets, may hold anything.
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
