import type { Command } from 'commander'
import {
  type JsonOptions,
  type TargetOptions,
  wholeNumber,
  withExample,
  withJson,
  withTarget
} from '../options.ts'
import { withControl } from '../target.ts'
import { print, printJson } from '../terminal.ts'

type TokenOptions = TargetOptions & JsonOptions & { readonly ttl: number }

const daySeconds = 86_400

export function configureToken(command: Command): void {
  command
    .argument('<uid>', 'the user')
    .option('--ttl <seconds>', 'how long it is valid', wholeNumber(1, 365 * daySeconds), daySeconds)
  withExample(
    withJson(withTarget(command)),
    'ringset token ann',
    'ringset token bot-7 --ttl 3600 --json'
  )
  command.action((uid: string, options: TokenOptions) => token(uid, options))
}

async function token(uid: string, options: TokenOptions): Promise<void> {
  const issued = await withControl(options, control =>
    control.any(node => node.issueToken(uid, options.ttl))
  )
  const expires = new Date(issued.expiresAtMs).toISOString()
  if (options.json) printJson({ token: issued.token, expires })
  else print(issued.token)
}
