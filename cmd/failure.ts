import { CommanderError } from 'commander'
import type { ErrorCode } from '../src/base/error-codes.ts'
import { RingsetError } from '../src/base/errors.ts'
import { clean, coloured, note, paint } from './terminal.ts'

/** Exit codes of every command. */
export const exitCodes = { done: 0, refused: 1, usage: 2, unreachable: 3 } as const

const unreachable: readonly ErrorCode[] = [
  'UNREACHABLE',
  'TIMEOUT',
  'CANCELLED',
  'NOT_RUNNING',
  'NO_LEADER',
  'NO_TABLE',
  'SET_UNAVAILABLE'
]

export function exitCodeOf(code: ErrorCode): number {
  if (code === 'USAGE') return exitCodes.usage
  return unreachable.includes(code) ? exitCodes.unreachable : exitCodes.refused
}

/** Says what went wrong, in one line or as one JSON object on stderr, and returns the exit code. */
export function reportFailure(error: unknown, json: boolean): number {
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.done
  const failure = toRingsetError(error)
  const { code, message, remedy, outcome, facts } = failure
  if (json) note(JSON.stringify({ error: { code, text: message, remedy, outcome, facts } }))
  else {
    const lines = message.split('\n').map(clean)
    // Several problems are a list; the line with code and remedy closes it.
    if (lines.length > 1) lines.forEach(note)
    const text = lines.length > 1 ? `${lines.length} problems.` : sentence(lines[0]!)
    note(`${paint(`error ${code}`, 'red', coloured(process.stderr))}: ${text} ${remedy}`)
  }
  if (process.env.RINGSET_DEBUG === '1') console.error(error)
  return exitCodeOf(code)
}

function toRingsetError(error: unknown): RingsetError {
  if (error instanceof RingsetError) return error
  if (error instanceof CommanderError) {
    if (error.code === 'commander.help') return new RingsetError('USAGE', 'a command is missing')
    const text = error.message.replace(/^error: /, '').replaceAll('\n', ' ')
    return new RingsetError('USAGE', text)
  }
  const text = error instanceof Error ? error.message : String(error)
  return new RingsetError('INTERNAL', text.split('\n', 1)[0], {}, error)
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}
