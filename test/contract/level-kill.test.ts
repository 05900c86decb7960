import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, expect, it } from 'vitest'
import { openAt, TestFolder } from './level-harness.ts'
import { liesOf, workloadGroups } from './store-workload.ts'

const folder = new TestFolder()
afterAll(() => folder.remove())

/** Lets a process write until it has acknowledged some steps, then kills it. Returns what it had acknowledged. */
async function writeAndKill(directory: string, steps: number): Promise<number[]> {
  const script = join(import.meta.dirname, 'storage-process.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', script, 'write', directory], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const exited = once(child, 'exit')
  let acknowledged: number[] = []
  let seen = 0
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged = line.split(' ').map(Number)
    if (++seen === steps) child.kill('SIGKILL')
  }
  expect((await exited)[1]).toBe('SIGKILL')
  return acknowledged
}

it('has after kill -9 everything that was acknowledged, time and again', async () => {
  const directory = folder.sub()
  for (const steps of [1, 7, 60, 400]) {
    const acknowledged = await writeAndKill(directory, steps)
    const database = await openAt(directory)
    for (const [i, name] of workloadGroups.entries()) {
      const store = await database.group(name)
      expect(store.recovered.quarantine).toBeUndefined()
      expect(store.lastIndex()).toBeGreaterThanOrEqual(acknowledged[i]!)
      expect(liesOf(name, store)).toEqual([])
    }
    await database.close()
  }
}, 60_000)
