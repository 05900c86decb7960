import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { type Command, InvalidArgumentError } from 'commander'
import { RingsetError } from '../../src/base/errors.ts'
import { type Judgement, type JudgeName, judge, judgeNames } from '../../src/check/check.ts'
import { parseHistory } from '../../src/check/history.ts'
import { exitCodes } from '../failure.ts'
import { type JsonOptions, withExample, withJson } from '../options.ts'
import { type Colour, clean, grouped, paint, print, printJson } from '../terminal.ts'

interface CheckOptions extends JsonOptions {
  readonly without: readonly JudgeName[]
}

const chunkBytes = 1024 * 1024

export function configureCheck(command: Command): void {
  command
    .argument('<file>', 'history of a run, see docs/history-format.md')
    .option('--without <check>', 'leave a check out; repeat it for several', collectJudge, [])
  withExample(withJson(command), 'ringset check report/history.jsonl')
  command.action((file: string, options: CheckOptions) => check(file, options))
}

function check(file: string, { json, without }: CheckOptions): void {
  const judgement = judge(parseHistory(chunksOf(file)), { without })
  if (json) printJson(judgement)
  else printJudgement(judgement)
  if (judgement.verdict !== 'pass') process.exitCode = exitCodes.refused
}

function printJudgement({ verdict, checks, lines, ignored }: Judgement): void {
  const wide = Math.max(...checks.map(({ name }) => name.length), 0)
  for (const { name, ok, detail, examples } of checks) {
    print(`${mark(ok)}  ${name.padEnd(wide)}  ${detail}`)
    for (const example of examples) print(`         ${paint(clean(example), 'dim')}`)
  }
  for (const [f, count] of Object.entries(ignored)) {
    print(`${paint('note   ', 'yellow')}  ${grouped(count)} lines of "${clean(f)}" were not judged`)
  }
  const colour: Record<Judgement['verdict'], Colour> = {
    pass: 'green',
    fail: 'red',
    unknown: 'yellow'
  }
  print(`${paint(verdict, colour[verdict])}: ${grouped(lines)} lines`)
}

function mark(ok: boolean | 'unknown'): string {
  if (ok === 'unknown') return paint('unknown', 'yellow')
  return ok ? paint('ok     ', 'green') : paint('FAILED ', 'red')
}

/**
 * Reads in turns of a fixed size, so that a history of any length fits; shows how far it is on a
 * terminal.
 */
function* chunksOf(file: string): Generator<Uint8Array> {
  const handle = opened(file)
  try {
    const { size } = fstatSync(handle)
    const buffer = Buffer.allocUnsafe(chunkBytes)
    for (let done = 0; ; ) {
      const count = readSync(handle, buffer)
      if (count === 0) break
      yield buffer.subarray(0, count)
      done += count
      if (process.stderr.isTTY) {
        process.stderr.write(`\rreading ${Math.min(100, Math.round((100 * done) / size))} %`)
      }
    }
  } finally {
    closeSync(handle)
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  }
}

function opened(file: string): number {
  try {
    const handle = openSync(file, 'r')
    if (!fstatSync(handle).isDirectory()) return handle
    closeSync(handle)
  } catch (cause) {
    throw new RingsetError('USAGE', `${file} cannot be read`, { file }, cause)
  }
  throw new RingsetError('USAGE', `${file} is a directory`, { file })
}

function collectJudge(text: string, before: readonly JudgeName[]): readonly JudgeName[] {
  const name = judgeNames.find(known => known === text)
  if (name !== undefined) return [...before, name]
  throw new InvalidArgumentError(`The checks are ${judgeNames.join(', ')}.`)
}
