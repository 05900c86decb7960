import type { Command } from 'commander'
import { RingsetError } from '../../src/base/errors.ts'
import { asUser } from '../im-session.ts'
import { messageJson, messageLine } from '../message-text.ts'
import {
  type JsonOptions,
  seconds,
  type TargetOptions,
  wholeNumber,
  withExample,
  withJson,
  withTarget
} from '../options.ts'
import { StopSignals } from '../stop-signals.ts'
import { note, print, printJsonLine } from '../terminal.ts'

interface ListenOptions extends TargetOptions, JsonOptions {
  readonly as: string
  readonly count?: number
  readonly timeout?: number
}

export function configureListen(command: Command): void {
  command
    .requiredOption('--as <uid>', 'who listens')
    .option('--count <n>', 'stop after so many messages', wholeNumber(1, 1_000_000_000))
    .option(
      '--timeout <seconds>',
      'stop after this time; an error if --count was not reached',
      seconds
    )
  withExample(
    withJson(withTarget(command)),
    'ringset listen --as bob',
    'ringset listen --as bob --count 1 --timeout 10 --json'
  )
  command.action((options: ListenOptions) => listen(options))
}

async function listen(options: ListenOptions): Promise<void> {
  const { count = Number.POSITIVE_INFINITY, json } = options
  const signals = new StopSignals()
  const enough = new AbortController()
  let received = 0
  let timedOut = false
  await asUser(options.as, 'listen', options, {
    listener: message => {
      // What comes after the last one asked for stays undelivered: the next listen prints it.
      if (received >= count) throw new RingsetError('CANCELLED', 'enough messages')
      received += 1
      if (json) printJsonLine(messageJson(message))
      else print(messageLine(message))
      if (received >= count) enough.abort()
    },
    work: async (_client, lost) => {
      if (!json) note(`listening as ${options.as}; Ctrl-C ends`)
      timedOut = await waited([signals.stop, enough.signal, lost], options.timeout)
    }
  }).finally(() => signals.release())
  if (timedOut && Number.isFinite(count)) {
    const text = `${received} of ${count} messages came within ${options.timeout} s`
    throw new RingsetError('TIMEOUT', text, { received })
  }
}

/** Resolves with false when a signal is raised, with true when the time is up first. */
function waited(
  signals: readonly AbortSignal[],
  timeoutSeconds: number | undefined
): Promise<boolean> {
  return new Promise(resolve => {
    const end = (timedOut: boolean) => {
      clearTimeout(timer)
      resolve(timedOut)
    }
    const timer =
      timeoutSeconds === undefined
        ? undefined
        : setTimeout(() => end(true), Math.min(timeoutSeconds * 1000, 2 ** 31 - 1))
    for (const signal of signals) {
      if (signal.aborted) end(false)
      else signal.addEventListener('abort', () => end(false), { once: true })
    }
  })
}
