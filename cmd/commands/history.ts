import type { Command } from 'commander'
import { p2pSession } from '../../src/protocol/session.ts'
import { asUser } from '../im-session.ts'
import { messageJson, messageLine } from '../message-text.ts'
import {
  type JsonOptions,
  type TargetOptions,
  wholeNumber,
  withExample,
  withJson,
  withTarget
} from '../options.ts'
import { note, print, printJson } from '../terminal.ts'

interface HistoryOptions extends TargetOptions, JsonOptions {
  readonly as: string
  readonly with: string
  readonly from?: number
  readonly limit: number
}

export function configureHistory(command: Command): void {
  command
    .requiredOption('--as <uid>', 'who reads')
    .requiredOption('--with <uid>', 'the other side')
    .option(
      '--from <msgid>',
      'first message (default: as many as --limit before the newest)',
      wholeNumber(1, Number.MAX_SAFE_INTEGER)
    )
    .option('--limit <n>', 'how many', wholeNumber(1, 1000), 50)
  withExample(withJson(withTarget(command)), 'ringset history --as ann --with bob --limit 20')
  command.action((options: HistoryOptions) => history(options))
}

async function history(options: HistoryOptions): Promise<void> {
  const session = p2pSession(options.as, options.with)
  const { from, limit } = options
  await asUser(options.as, 'history', options, {
    work: async client => {
      const asked = { session, limit, ...(from === undefined ? {} : { from }) }
      const { first, latest, messages } = await client.history(asked)
      if (options.json) printJson(messages.map(messageJson))
      else {
        for (const message of messages) print(messageLine(message))
        note(`${messages.length} messages; kept are #${first} to #${latest}`)
      }
    }
  })
}
