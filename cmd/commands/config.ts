import type { Command } from 'commander'
import { RingsetError } from '../../src/base/errors.ts'
import { checkConfigText, describeProblem, readConfig } from '../../src/config/config.ts'
import {
  configurationPage,
  explainField,
  type FieldDoc,
  fieldDocs
} from '../../src/config/explain.ts'
import { exitCodes } from '../failure.ts'
import { type JsonOptions, withExample, withJson } from '../options.ts'
import { note, paint, print, printJson, tableLines } from '../terminal.ts'
import { noteWarnings } from '../warnings.ts'

export function configureConfig(command: Command): void {
  withExample(
    command,
    'ringset config check cluster-configs/local.yaml',
    'ringset config explain raft'
  )
  const checkCommand = command
    .command('check <file>')
    .description('judge a configuration file; every problem is named')
  withExample(withJson(checkCommand), 'ringset config check cluster-configs/local.yaml')
  checkCommand.action((file: string, { json }: JsonOptions) => check(file, json === true))

  const explainCommand = command
    .command('explain [field]')
    .description('what a field, or every field, means')
    .option('--markdown', 'print docs/configuration.md')
  withExample(
    withJson(explainCommand),
    'ringset config explain raft.heartbeatMs',
    'ringset config explain limits'
  )
  explainCommand.action((field: string | undefined, options: ExplainOptions) =>
    explain(field, options)
  )
}

function check(file: string, json: boolean): void {
  const { config, problems, warnings } = checkConfigText(readConfig(file))
  if (config === undefined) process.exitCode = exitCodes.refused
  if (json) printJson({ file, ok: config !== undefined, problems, warnings })
  else if (config !== undefined) {
    const { cluster, sets, nodes } = config
    noteWarnings(file, warnings)
    print(
      `${paint('ok', 'green')} ${file}: cluster ${cluster.name}, ${sets.length} sets, ${nodes.length} nodes`
    )
  } else {
    for (const problem of problems) note(describeProblem(file, problem))
    note(`${paint('error CONFIG_INVALID', 'red')}: ${problems.length} problems in ${file}.`)
  }
}

type ExplainOptions = JsonOptions & { readonly markdown?: true }

function explain(field: string | undefined, { json, markdown }: ExplainOptions): void {
  const docs = field === undefined ? fieldDocs() : found(field)
  if (markdown) process.stdout.write(configurationPage())
  else if (json) printJson(docs)
  else if (docs.length === 1) printField(docs[0]!)
  else printFields(docs)
}

function printFields(docs: readonly FieldDoc[]): void {
  const rows = docs.map(doc => [doc.field, defaultOf(doc, 'required'), doc.unit, doc.about])
  for (const line of tableLines(['field', 'default', 'unit', 'what it is'], rows)) print(line)
}

function found(field: string): readonly FieldDoc[] {
  const { docs, suggestion } = explainField(field)
  if (docs.length > 0) return docs
  const hint = suggestion === undefined ? '' : `; did you mean ${suggestion}?`
  throw new RingsetError('USAGE', `the configuration has no field ${field}${hint}`)
}

function printField(doc: FieldDoc): void {
  print(`${paint(doc.field, 'bold')}: ${doc.about}`)
  print(`unit ${doc.unit}, default ${defaultOf(doc, 'none: it is required')}`)
  if (doc.allowed !== '') print(`allowed: ${doc.allowed}`)
  print(`trade-off: ${doc.tradeOff}`)
}

function defaultOf({ initial, optional }: FieldDoc, required: string): string {
  return String(initial ?? (optional ? 'none' : required))
}
