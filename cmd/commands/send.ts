import type { Command } from 'commander'
import { asUser } from '../im-session.ts'
import {
  type JsonOptions,
  type TargetOptions,
  withExample,
  withJson,
  withTarget
} from '../options.ts'
import { durationText, print, printJson } from '../terminal.ts'

interface SendOptions extends TargetOptions, JsonOptions {
  readonly as: string
  readonly to: string
}

export function configureSend(command: Command): void {
  command
    .argument('<text>', 'the message')
    .requiredOption('--as <uid>', 'who sends')
    .requiredOption('--to <uid>', 'who receives')
  withExample(withJson(withTarget(command)), 'ringset send --as ann --to bob "hello"')
  command.action((text: string, options: SendOptions) => send(text, options))
}

async function send(text: string, options: SendOptions): Promise<void> {
  await asUser(options.as, 'send', options, {
    work: async client => {
      const startMs = performance.now()
      const { session, msgid, duplicate } = await client.sendText(options.to, text)
      const ms = Number((performance.now() - startMs).toFixed(2))
      if (options.json) printJson({ session, msgid, duplicate, ms })
      else print(`#${msgid} in ${session}, on disk on a majority after ${durationText(ms)}`)
    }
  })
}
