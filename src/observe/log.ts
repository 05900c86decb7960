import { destination, pino, stdTimeFunctions } from 'pino'
import type { Log, LogFacts } from '../base/ports.ts'

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  /** A file to append to; undefined writes to stdout. */
  readonly file?: string | undefined
  /** Facts of every line, such as the node's id. */
  readonly base?: LogFacts
}

/**
 * A log of JSON lines: `{"level","time","event", …facts}`. Lines are written at once, so that a crash loses none; write rarely on
 * the hot path.
 */
export function createLog({ level, file, base = {} }: LogOptions): Log {
  const target = destination({ dest: file ?? 1, sync: true, mkdir: true })
  const logger = pino(
    {
      level,
      base: { ...base },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) }
    },
    target
  )
  return {
    debug: (event, facts) => logger.debug(line(event, facts)),
    info: (event, facts) => logger.info(line(event, facts)),
    warn: (event, facts) => logger.warn(line(event, facts)),
    error: (event, facts) => logger.error(line(event, facts))
  }
}

function line(event: string, facts: LogFacts = {}): LogFacts {
  const { error } = facts
  return error instanceof Error
    ? { event, ...facts, error: errorFacts(error) }
    : { event, ...facts }
}

/** A RingsetError's code and facts are fields of its own and come along. */
function errorFacts(error: Error): LogFacts {
  const { name, message, stack, cause, ...fields } = error
  const deeper = cause instanceof Error ? { cause: errorFacts(cause) } : {}
  return { name, message, ...fields, stack, ...deeper }
}
