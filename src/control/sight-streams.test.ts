import { setMaxListeners } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../../test/support/until.ts'
import { silentLog } from '../base/ports.ts'
import { WatchResponse } from '../gen/ringset/control/v1/control.ts'
import { ControlClient } from './control-client.ts'
import { startControlServer } from './control-server.ts'
import type { ControlSource, NodeSight } from './control-source.ts'

const credential = 'b'.repeat(64)
const closers: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** A node whose epoch is how often it was looked at. */
async function watched() {
  let looks = 0
  const source = {
    sight: () => WatchResponse.fromPartial({ pid: 7, epoch: ++looks, replicas: [{ set: 's1' }] })
  } as unknown as ControlSource
  const options = { host: '127.0.0.1', port: 0, credential, source, log: silentLog }
  const server = await startControlServer(options)
  closers.push(() => server.close())
  const clientWith = (given = credential): ControlClient => {
    const client = new ControlClient({ address: `127.0.0.1:${server.port}`, credential: given })
    closers.push(() => client.close())
    return client
  }
  return { server, clientWith, looks: () => looks }
}

const ignore = (): void => {}

describe('sights of a node', () => {
  it('come at once and again and again, until the watcher has enough', async () => {
    const { clientWith, looks } = await watched()
    const enough = new AbortController()
    const seen: NodeSight[] = []
    await clientWith().watch(10, enough.signal, sight => {
      if (seen.push(sight) === 3) enough.abort()
    })
    expect(seen.map(({ pid, epoch }) => [pid, epoch])).toEqual([
      [7, 1],
      [7, 2],
      [7, 3]
    ])
    expect(seen[0]!.replicas).toEqual([{ set: 's1', replica: 0, term: 0, leader: 0 }])
    const gone = looks()
    const other = new AbortController()
    let shown = 0
    await clientWith().watch(10, other.signal, () => {
      if (++shown === 20) other.abort()
    })
    // But for a sight or two that were on their way, nobody looks for the first any more.
    expect(looks() - gone).toBeLessThan(30)
  })

  it('end when the node does, which does not wait for whoever watches', async () => {
    const { server, clientWith } = await watched()
    const client = clientWith()
    let first = ignore
    const begun = new Promise<void>(resolve => {
      first = resolve
    })
    const over = client.watch(1_000, new AbortController().signal, () => first())
    await begun
    const fromMs = performance.now()
    await server.close()
    await over
    expect(performance.now() - fromMs).toBeLessThan(900)
  })

  it('are refused without the credential, at an impossible pace, and to one watcher too many', async () => {
    const { clientWith } = await watched()
    const enough = new AbortController()
    const stranger = clientWith('c'.repeat(64))
    await expect(stranger.watch(10, enough.signal, ignore)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED'
    })
    for (const everyMs of [0, 9, 60_001]) {
      const watching = clientWith().watch(everyMs, enough.signal, ignore)
      await expect(watching).rejects.toMatchObject({ code: 'USAGE' })
    }
    setMaxListeners(0, enough.signal)
    const client = clientWith()
    let begun = 0
    const all = Array.from({ length: 32 }, () => {
      return client.watch(60_000, enough.signal, () => begun++)
    })
    await until('all watch', () => begun === 32)
    await expect(client.watch(10, enough.signal, ignore)).rejects.toMatchObject({
      code: 'OVERLOADED'
    })
    enough.abort()
    await Promise.all(all)
  })
})
