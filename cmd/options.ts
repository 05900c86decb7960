import { type Command, InvalidArgumentError, Option } from 'commander'
import { defaultDataDirectory } from '../src/config/data-folder.ts'
import { movesAtOnce, slotsAtOnce } from '../src/control/slot-operator.ts'

export interface DataOptions {
  readonly data: string
}

export interface TargetOptions extends DataOptions {
  readonly connect?: string
  readonly credential?: string
}

export interface JsonOptions {
  readonly json?: true
}

/** `--data`: for commands that work on the processes of this machine. */
export function withData(command: Command): Command {
  return command.addOption(
    new Option('--data <dir>', 'data folder of the cluster')
      .default(defaultDataDirectory)
      .env('RINGSET_DATA')
  )
}

/**
 * `--data`, or `--connect` and `--credential`: for commands that only talk to nodes. What is said on the command line comes before what is
 * in the environment.
 */
export function withTarget(command: Command): Command {
  return withData(command)
    .hook('preAction', (_, acting) => oneTarget(acting))
    .addOption(
      new Option('--connect <host:port>', 'control address of any node, instead of a data folder')
        .argParser(address)
        .env('RINGSET_CONNECT')
    )
    .addOption(
      new Option(
        '--credential <file>',
        'credential file for --connect (default: the one in --data)'
      ).env('RINGSET_CREDENTIAL')
    )
}

/** A cluster that the environment names must not take the place of the one that was asked for. */
function oneTarget(command: Command): void {
  const source = (name: string) => command.getOptionValueSource(name)
  if (source('data') === 'cli' && source('connect') === 'env') {
    command.setOptionValue('connect', undefined)
  }
}

export function withJson(command: Command): Command {
  return command.option('--json', 'print JSON for programs')
}

/** An example under the help text. */
export function withExample(command: Command, ...examples: readonly string[]): Command {
  const title = examples.length === 1 ? 'Example' : 'Examples'
  return command.addHelpText('after', `\n${title}:\n${examples.map(e => `  $ ${e}`).join('\n')}`)
}

/** Parses a whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return text => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
  }
}

/** What a timer can wait for. */
const secondsMax = 2_000_000

/** Parses seconds, fractions allowed. */
export function seconds(text: string): number {
  const value = /^\d{1,9}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN
  if (value > 0 && value <= secondsMax) return value
  throw new InvalidArgumentError(`It must be a number of seconds above 0, ${secondsMax} at most.`)
}

function address(text: string): string {
  const port = Number(/^[^\s/]+:(\d{1,5})$/.exec(text)?.[1])
  if (port >= 1 && port <= 65_535) return text
  throw new InvalidArgumentError('It must be host:port.')
}

/** Parses what may happen so often in a second, fractions allowed. */
function perSecond(text: string): number {
  const value = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN
  if (value > 0) return value
  throw new InvalidArgumentError('It must be a number above 0.')
}

/** `--at-once` and `--per-second`, for commands that move slots. @param initial what the first is when not given, in words. */
export function withPace(command: Command, initial = `${movesAtOnce}`): void {
  const about = `so many slots are on their way at any time: fewer, and users notice less and it takes longer (default: ${initial})`
  command.addOption(new Option('--at-once <n>', about).argParser(wholeNumber(1, slotsAtOnce)))
  const rate = 'so many slots set out in a second at the most, 3 or 0.5, for a cluster that is busy'
  command.addOption(new Option('--per-second <n>', rate).argParser(perSecond))
}
