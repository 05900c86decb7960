import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { expect, it } from 'vitest'
import { standBack } from './stand-back.ts'

it('has another process wait behind others, its session included', async () => {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore']
  })
  const ended = once(child, 'exit')
  try {
    const pid = child.pid!
    await standBack(pid, 5)
    expect(getPriority(pid)).toBe(Math.min(getPriority() + 5, 19))
    const session = `/proc/${pid}/autogroup`
    if (existsSync(session)) expect(readFileSync(session, 'utf8')).toMatch(/ nice 5$/m)
  } finally {
    child.stdin.end()
    await ended
  }
})

it('does not mind a process that is gone, nor one that never was', async () => {
  const own = getPriority()
  await standBack(0, 5)
  expect(getPriority()).toBe(own)
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  await expect(standBack(child.pid!, 5)).resolves.toBeUndefined()
})
