import { type ConfigProblem, describeProblem } from '../src/config/config.ts'
import { coloured, note, paint } from './terminal.ts'

/** What a configuration may be and is hardly meant to be, on stderr. */
export function noteWarnings(file: string, warnings: readonly ConfigProblem[]): void {
  const word = paint('warning', 'yellow', coloured(process.stderr))
  for (const warning of warnings) note(`${word} ${describeProblem(file, warning)}`)
}
