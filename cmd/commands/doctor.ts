import type { Command } from 'commander'
import { diagnose } from '../../src/doctor/doctor.ts'
import type { Finding, Level } from '../../src/doctor/finding.ts'
import { exitCodes } from '../failure.ts'
import {
  type JsonOptions,
  type TargetOptions,
  withExample,
  withJson,
  withTarget
} from '../options.ts'
import { type Colour, paint, print, printJson, tableLines } from '../terminal.ts'

interface DoctorCommandOptions extends TargetOptions, JsonOptions {
  readonly config?: string
}

const colours: Readonly<Record<Level, Colour>> = { ok: 'green', warn: 'yellow', fail: 'red' }

export function configureDoctor(command: Command): void {
  command.option(
    '-c, --config <file>',
    'configuration to go by (default: the one in the data folder)'
  )
  withExample(
    withJson(withTarget(command)),
    'ringset doctor',
    'ringset doctor -c /etc/ringset/cluster.yaml --data /var/lib/ringset'
  )
  command.action((options: DoctorCommandOptions) => doctor(options))
}

async function doctor({
  json,
  data,
  config,
  connect,
  credential
}: DoctorCommandOptions): Promise<void> {
  const findings = await diagnose({
    dataDirectory: data,
    configFile: config,
    connect,
    credentialFile: credential
  })
  const failed = findings.some(({ level }) => level === 'fail')
  if (failed) process.exitCode = exitCodes.refused
  if (json) printJson({ ok: !failed, findings })
  else for (const line of findingLines(findings)) print(line)
}

/** A table, the remedy under each finding that needs one, and a line about the whole. */
export function findingLines(findings: readonly Finding[]): string[] {
  const rows = findings.map(({ level, check, text }) => [paint(level, colours[level]), check, text])
  const [head = '', ...lines] = tableLines(['', 'check', 'finding'], rows)
  const shown = lines.flatMap((line, i) => {
    const { remedy } = findings[i]!
    return remedy === '' ? [line] : [line, `      ${paint(`→ ${remedy}`, 'dim')}`]
  })
  const count = (level: Level): number => findings.filter(one => one.level === level).length
  const total = `${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failed`
  return [head, ...shown, '', total]
}
