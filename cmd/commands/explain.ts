import type { Command } from 'commander'
import { type ErrorCode, errorCodes } from '../../src/base/error-codes.ts'
import { RingsetError } from '../../src/base/errors.ts'
import { nearest } from '../../src/config/nearest.ts'
import { type JsonOptions, withExample, withJson } from '../options.ts'
import { paint, print, printJson, tableLines } from '../terminal.ts'

export function configureExplain(command: Command): void {
  command.argument('[code]', 'an error code; without one, all are listed')
  withExample(withJson(command), 'ringset explain NOT_LEADER')
  command.action((code: string | undefined, { json }: JsonOptions) => explain(code, json === true))
}

function explain(word: string | undefined, json: boolean): void {
  const codes = Object.keys(errorCodes) as ErrorCode[]
  if (word === undefined) {
    if (json) return printJson(codes.map(facts))
    const rows = codes.map(code => [code, errorCodes[code].number, errorCodes[code].summary])
    for (const line of tableLines(['code', 'number', 'meaning'], rows)) print(line)
    return
  }
  const wanted = word.toUpperCase().replaceAll('-', '_')
  const code = codes.find(known => known === wanted || String(errorCodes[known].number) === word)
  if (code === undefined) {
    const near = nearest(wanted, codes)
    throw new RingsetError(
      'USAGE',
      `no error code is called ${word}${near ? `; did you mean ${near}?` : ''}`
    )
  }
  if (json) return printJson(facts(code))
  const { number, summary, remedy, outcome, retry } = errorCodes[code]
  const effect =
    outcome === 'not-done'
      ? 'The request certainly had no effect.'
      : 'The request may have taken effect; repeat it only with the same message id.'
  print(`${paint(code, 'bold')} (${number}): ${summary}`)
  print(`What to do: ${remedy}`)
  print(
    `${effect} ${retry ? 'The same request may succeed later.' : 'Repeating it unchanged does not help.'}`
  )
}

function facts(code: ErrorCode) {
  return { code, ...errorCodes[code] }
}
