import type { Command } from 'commander'
import { type ErrorCode, errorCodes } from '../../src/base/error-codes.ts'
import { RingsetError } from '../../src/base/errors.ts'
import { nearest } from '../../src/config/nearest.ts'
import { errorPage } from '../error-page.ts'
import { type JsonOptions, withExample, withJson } from '../options.ts'
import { paint, print, printJson, tableLines } from '../terminal.ts'

export function configureExplain(command: Command): void {
  command.argument('[code]', 'an error code; without one, all are listed')
  command.option('--markdown', 'print docs/errors.md')
  withExample(withJson(command), 'ringset explain NOT_LEADER')
  command.action((code: string | undefined, options: ExplainOptions) => explain(code, options))
}

const codes = Object.keys(errorCodes) as ErrorCode[]

type ExplainOptions = JsonOptions & { readonly markdown?: true }

function explain(word: string | undefined, { json, markdown }: ExplainOptions): void {
  if (markdown) process.stdout.write(errorPage())
  else if (word === undefined) {
    if (json) printJson(codes.map(facts))
    else printAll()
  } else {
    const code = codeNamed(word)
    if (json) printJson(facts(code))
    else printOne(code)
  }
}

/** Takes the name in any case, or the number that packets carry. */
function codeNamed(word: string): ErrorCode {
  const wanted = word.toUpperCase().replaceAll('-', '_')
  const code = codes.find(known => known === wanted || String(errorCodes[known].number) === word)
  if (code !== undefined) return code
  const near = nearest(wanted, codes)
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  throw new RingsetError('USAGE', `no error code is called ${word}${hint}`)
}

function printAll(): void {
  const rows = codes.map(code => [code, errorCodes[code].number, errorCodes[code].summary])
  for (const line of tableLines(['code', 'number', 'meaning'], rows)) print(line)
}

function printOne(code: ErrorCode): void {
  const { number, summary, remedy, outcome, retry } = errorCodes[code]
  const effect =
    outcome === 'not-done'
      ? 'The request certainly had no effect.'
      : 'The request may have taken effect; repeat it only with the same message id.'
  const again = retry
    ? 'The same request may succeed later.'
    : 'Repeating it unchanged does not help.'
  print(`${paint(code, 'bold')} (${number}): ${summary}`)
  print(`What to do: ${remedy}`)
  print(`${effect} ${again}`)
}

function facts(code: ErrorCode) {
  return { code, ...errorCodes[code] }
}
