// A bot that answers what it is sent. It keeps its place in a file, so a restart neither forgets
// nor repeats a message.
//
//   export ECHO_TOKEN=$(ringset token echo)
//   npx tsx docs/examples/echo-bot.ts echo tcp://127.0.0.1:7121 [messages]
//
// Ends after so many messages, or on Ctrl-C.
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileStore, ImClient } from '../../src/client/client.ts'

const [uid = 'echo', addresses = 'tcp://127.0.0.1:7121', messages = 'Infinity'] =
  process.argv.slice(2)

const bot = new ImClient({
  uid,
  token: process.env.ECHO_TOKEN ?? '',
  class: 'bot',
  addresses: addresses.split(','),
  store: new FileStore(process.env.ECHO_STORE ?? join(tmpdir(), `echo-bot-${uid}.json`))
})

let left = Number(messages)
let done = (): void => {}
const finished = new Promise<void>(resolve => {
  done = resolve
})

// The message counts as dealt with when the promise resolves: a crash before that brings it again.
bot.onMessage(async message => {
  if (message.from === uid) return
  const sent = await bot.sendText(message.from, `echo: ${message.text}`)
  console.log(`${message.from} #${message.msgid} answered as #${sent.msgid}`)
  if (--left === 0) done()
})
bot.onState((state, error) => console.log(state, error?.code ?? ''))

process.once('SIGINT', done)
await bot.connect()
await finished
await bot.close()
