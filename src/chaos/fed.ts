import { spawn } from 'node:child_process'
import { RingsetError } from '../base/errors.ts'

/** Runs a tool of the system that reads what it is to do. Throws INTERNAL with what it says. */
export function fed(tool: string, words: readonly string[], input: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(tool, words, { stdio: ['pipe', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.on('data', data => {
      said += data
    })
    child.once('error', reject)
    child.once('close', code => {
      if (code === 0) resolve()
      else reject(new RingsetError('INTERNAL', `${tool}: ${said.trim().split('\n')[0]}`))
    })
    // A tool that is not there, or ends early, is told about by its end.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}
