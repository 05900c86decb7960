import { writeFile } from 'node:fs/promises'
import { getPriority, setPriority } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** Linux takes one such wish of a user every 100 ms. */
const againMs = 110
const attemptsMax = 30
const nicenessMax = 19

/**
 * Has a process wait for processors that others want as well. Needs no privileges; where the system does not let it be done, nothing happens.
 * @param niceness of the process beyond that of this one, and of its session: each step is about a fifth less of a processor that is fought for.
 */
export async function standBack(pid: number, niceness: number): Promise<void> {
  // 0 would be this process itself.
  if (pid <= 0) return
  try {
    setPriority(pid, Math.min(getPriority() + niceness, nicenessMax))
  } catch {
    // It is gone, or not ours.
    return
  }
  // Where Linux shares processors among sessions before it looks at processes, a session's niceness is what counts.
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const code = await writeFile(`/proc/${pid}/autogroup`, `${niceness}\n`).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code
    )
    if (code !== 'EAGAIN') return
    await sleep(againMs, undefined, { ref: false })
  }
}
