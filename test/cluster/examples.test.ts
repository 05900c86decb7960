import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dataFolder } from '../../src/config/data-folder.ts'
import { TestCluster } from '../support/test-cluster.ts'

const folder = fileURLToPath(new URL('../../docs/examples/', import.meta.url))
const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

/** Runs one to its end; rejects, with its output, unless that is exit code 0. */
function run(file: string, words: readonly string[], env: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      ['--import', loader, join(folder, file), ...words],
      { env: { ...process.env, ...env }, timeout: 60_000 },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout)
        else reject(new Error(`${file}: ${error.message}\n${stdout}${stderr}`))
      }
    )
  })
}

describe('the examples', () => {
  let cluster: TestCluster

  beforeAll(async () => {
    cluster = await TestCluster.start()
  })
  afterAll(() => cluster?.close())

  it('are all proven here', () => {
    expect(readdirSync(folder).sort()).toEqual(['echo-bot.ts', 'load.ts', 'order-service.ts'])
  })

  it('echo-bot.ts answers each message once, also after a restart', async () => {
    const ann = cluster.client('ann')
    const answers: string[] = []
    ann.onMessage(message => {
      if (message.from === 'echo') answers.push(message.text)
    })
    await ann.connect()
    const env = {
      ECHO_TOKEN: cluster.token('echo'),
      ECHO_STORE: join(cluster.directory, 'echo.json')
    }
    const words = ['echo', cluster.gateways().join(',')]
    await Promise.all(['one', 'two'].map(text => ann.sendText('echo', text)))
    await run('echo-bot.ts', [...words, '2'], env)
    await ann.sendText('echo', 'three')
    const output = await run('echo-bot.ts', [...words, '1'], env)
    expect(output).toContain('ann #5 answered as #6')
    const { messages } = await ann.history({ session: 'p2p/ann/echo' })
    expect(messages.map(({ text }) => text).sort()).toEqual([
      'echo: one',
      'echo: three',
      'echo: two',
      'one',
      'three',
      'two'
    ])
  })

  it('order-service.ts numbers orders and tells the customer', async () => {
    const secret = readFileSync(dataFolder(cluster.directory).secretFile, 'utf8').trim()
    const words = [cluster.peerAddress('s2-b'), 'ann', '4']
    const env = { RINGSET_SECRET: secret }
    const first = await run('order-service.ts', words, env)
    expect(first).toContain('ann is at message #4')
    const second = await run('order-service.ts', words, env)
    expect(second).toContain('ann is at message #8')
    const numbers = [...(first + second).matchAll(/order (\d+) is/g)].map(([, number]) => number)
    expect(new Set(numbers).size).toBe(8)
  })
  it('load.ts appends at an even rate while a leader is killed, and no call fails', async () => {
    const secret = readFileSync(dataFolder(cluster.directory).secretFile, 'utf8').trim()
    const words = [cluster.peerAddress('s1-a'), '50', '4']
    const load = run('load.ts', words, { RINGSET_SECRET: secret })
    const victim = await cluster.killLeader('s2')
    const output = await load
    await cluster.cluster.startNode(victim)
    expect(output).toContain('200 of 200 acknowledged')
    expect(output).not.toContain(' times ')
  })
})
