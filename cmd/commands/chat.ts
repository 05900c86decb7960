import { createInterface, type Interface } from 'node:readline'
import type { Command } from 'commander'
import { RingsetError } from '../../src/base/errors.ts'
import type { ImClient } from '../../src/client/im-client.ts'
import type { ImMessage } from '../../src/client/im-types.ts'
import { p2pSession } from '../../src/protocol/session.ts'
import { asUser } from '../im-session.ts'
import { messageLine } from '../message-text.ts'
import { type TargetOptions, withExample, withTarget } from '../options.ts'
import { note, paint, print } from '../terminal.ts'

interface ChatOptions extends TargetOptions {
  readonly as: string
  readonly with: string
}

const shownAtStart = 20

export function configureChat(command: Command): void {
  command
    .requiredOption('--as <uid>', 'who you are')
    .requiredOption('--with <uid>', 'the other side')
  withExample(withTarget(command), 'ringset chat --as ann --with bob')
  command.action((options: ChatOptions) => chat(options))
}

async function chat(options: ChatOptions): Promise<void> {
  const session = p2pSession(options.as, options.with)
  const seen = new Set<number>()
  let screen: Interface | undefined
  const show = (message: ImMessage) => {
    if (message.session !== session || seen.has(message.msgid)) return
    seen.add(message.msgid)
    above(screen, messageLine(message))
  }
  await asUser(options.as, 'chat', options, {
    listener: show,
    work: async (client, lost) => {
      for (const message of await recent(client, session)) show(message)
      note(paint(`${options.as} with ${options.with}; Ctrl-D ends`, 'dim'))
      const { stdin: input, stdout: output } = process
      const opened = createInterface({ input, output, prompt: '> ' })
      screen = opened
      lost.addEventListener('abort', () => opened.close(), { once: true })
      await talk(opened, client, options.with)
    }
  })
}

/** The last messages of the conversation; none when it has not begun. */
async function recent(client: ImClient, session: string): Promise<readonly ImMessage[]> {
  try {
    return (await client.history({ session, limit: shownAtStart })).messages
  } catch (error) {
    if (error instanceof RingsetError && error.code === 'UNKNOWN_SESSION') return []
    throw error
  }
}

/** Until the input ends. A refused message is reported and the chat goes on. */
async function talk(screen: Interface, client: ImClient, to: string): Promise<void> {
  const sending = new Set<Promise<void>>()
  screen.prompt()
  for await (const line of screen) {
    if (line.trim() !== '') {
      const sent = client
        .sendText(to, line)
        .then(() => {})
        .catch((error: unknown) => {
          const text =
            error instanceof RingsetError ? `${error.code}: ${error.message}` : String(error)
          above(screen, paint(`not sent (${text}): ${line}`, 'red'))
        })
        .finally(() => sending.delete(sent))
      sending.add(sent)
    }
    screen.prompt()
  }
  await Promise.all(sending)
}

/** Prints above the line that is being typed. */
function above(screen: Interface | undefined, line: string): void {
  if (process.stdout.isTTY) process.stdout.write('\r\u001b[K')
  print(line)
  if (process.stdout.isTTY) screen?.prompt(true)
}
