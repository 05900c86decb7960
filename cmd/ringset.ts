#!/usr/bin/env node
import { Command } from 'commander'
import { version } from '../src/host/version.ts'
import { commandTable } from './command-table.ts'
import { reportFailure } from './failure.ts'
import { outliveTerminal } from './terminal.ts'

/** Loads only the command that is about to run, so that the others cost no start-up time. */
async function main(words: readonly string[]): Promise<void> {
  const program = new Command('ringset')
    .description('A self-hosted instant-messaging cluster.')
    .version(version)
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .helpCommand(false)
    .addHelpText(
      'after',
      '\nExample:\n  $ ringset up        then, in another terminal: ringset status'
    )
  const wanted = words.find(word => !word.startsWith('-'))
  for (const { name, summary, load } of commandTable) {
    const command = program.command(name).description(summary)
    command.copyInheritedSettings(program)
    if (name === wanted) (await load())(command)
  }
  if (words.length === 0) program.outputHelp()
  else await program.parseAsync(words, { from: 'user' })
}

outliveTerminal()

const words = process.argv.slice(2)
try {
  await main(words)
} catch (error) {
  process.exitCode = reportFailure(error, words.includes('--json'))
}
