import { connect, createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { RingsetError } from '../base/errors.ts'
import type { Log } from '../base/ports.ts'
import { StatusResponse, WatchResponse } from '../gen/ringset/control/v1/control.ts'
import { ClusterControl } from './cluster-control.ts'
import { ControlClient } from './control-client.ts'
import { type ControlServer, startControlServer } from './control-server.ts'
import type { ControlSource } from './control-source.ts'

const credential = 'a'.repeat(64)
const closers: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

interface Asked {
  readonly calls: unknown[][]
  readonly logged: string[]
}

async function started(overrides: Partial<ControlSource> = {}): Promise<ControlServer & Asked> {
  const calls: unknown[][] = []
  const logged: string[] = []
  const source: ControlSource = {
    status: async () => StatusResponse.fromPartial({ nodeId: 'n1', epoch: 7, bootId: 2 ** 47 + 1 }),
    sight: () => WatchResponse.fromPartial({}),
    table: async epoch => ({ epoch: epoch ?? 9, json: JSON.stringify({ epoch: epoch ?? 9 }) }),
    newerTable: async (...wait) => {
      calls.push(['newer', ...wait])
    },
    route: async uid => {
      throw new RingsetError('BAD_UID', `bad: ${uid}`)
    },
    issueToken: async (uid, ttlSeconds) => ({ token: `${uid}:${ttlSeconds}`, expiresAtMs: 5 }),
    stop: async graceful => {
      calls.push(['stop', graceful])
    },
    transferLeadership: async (set, to) => {
      calls.push(['transfer', set, to])
      return { from: 1, to: 2, term: 7, gapMs: 12.5 }
    },
    changeReplica: async (...change) => {
      calls.push(['change', ...change])
      return { changed: true, voters: [1, 2], learners: [4] }
    },
    placeReplica: async place => {
      calls.push(['place', place])
    },
    drainTransfer: async order => {
      calls.push(['drain', order])
      return true
    },
    undrainTransfer: async transfer => {
      calls.push(['undrain', transfer])
      return { changed: true, moved: 3, connections: 1 }
    },
    moveSlots: async order => {
      calls.push(['move', order])
      return 12
    },
    abortMoves: async slots => {
      calls.push(['abort', slots])
      return 13
    },
    addPin: async order => {
      calls.push(['pin', order])
      return { epoch: 15, changed: true }
    },
    removePin: async order => {
      calls.push(['unpin', order])
      return { epoch: 16, changed: false }
    },
    setGrey: async order => {
      calls.push(['grey', order])
      return { epoch: 17, changed: true }
    },
    undoGrey: async version => {
      calls.push(['ungrey', version])
      return { epoch: 18, changed: true }
    },
    setFaults: async order => {
      calls.push(['faults', order])
    },
    changeSet: async order => {
      calls.push(['set', order])
      return 14
    },
    ...overrides
  }
  const note = (event: string) => logged.push(event)
  const log: Log = { debug: note, info: note, warn: note, error: note }
  const server = await startControlServer({ host: '127.0.0.1', port: 0, credential, source, log })
  closers.push(() => server.close())
  return { ...server, calls, logged }
}

function client(port: number, with_: { credential?: string; timeoutMs?: number } = {}) {
  const made = new ControlClient({ address: `127.0.0.1:${port}`, credential, ...with_ })
  closers.push(() => made.close())
  return made
}

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'no error',
    (error: RingsetError) => error.code
  )

describe('control', () => {
  it('carries calls and their arguments', async () => {
    const server = await started()
    const node = client(server.port)
    const status = await node.status()
    expect([status.nodeId, status.epoch, status.bootId]).toEqual(['n1', 7, 2 ** 47 + 1])
    expect((await node.table()).epoch).toBe(9)
    expect((await node.table(3)).epoch).toBe(3)
    expect(await node.issueToken('ann', 60)).toEqual({ token: 'ann:60', expiresAtMs: 5 })
    await node.stop(false)
    await node.transferLeadership('s1')
    await node.transferLeadership('', 2)
    expect(server.calls).toEqual([
      ['stop', false],
      ['transfer', 's1', undefined],
      ['transfer', '', 2]
    ])
  })

  it('waits for a table', async () => {
    const server = await started()
    const node = client(server.port)
    await node.table()
    expect(server.calls).toEqual([])
    expect((await node.tableAfter(8, 250)).epoch).toBe(9)
    await node.tableAfter(0, 10_000)
    const calls = [
      ['newer', 8, 250],
      ['newer', 0, 10_000]
    ]
    expect(server.calls).toEqual(calls)
    expect(await codeOf(node.tableAfter(8, 10_001))).toBe('USAGE')
    expect(server.calls).toEqual(calls)
  })

  it('carries drains', async () => {
    const server = await started()
    const node = client(server.port)
    expect(await node.drainTransfer({ transfer: 't1', overMs: 500, force: true })).toBe(true)
    expect(await node.drainTransfer({ transfer: 't1', overMs: undefined, force: false })).toBe(true)
    const undrained = { changed: true, moved: 3, connections: 1 }
    expect(await node.undrainTransfer('t1')).toEqual(undrained)
    const tooLong = { transfer: 't1', overMs: 86_400_001, force: false }
    expect(await codeOf(node.drainTransfer(tooLong))).toBe('USAGE')
    expect(server.calls).toEqual([
      ['drain', { transfer: 't1', overMs: 500, force: true }],
      ['drain', { transfer: 't1', overMs: undefined, force: false }],
      ['undrain', 't1']
    ])
  })

  it('carries moves of slots, so many in a call', async () => {
    const server = await started()
    const node = client(server.port)
    const most = Array.from({ length: 1_024 }, (_, slot) => slot)
    expect(await node.moveSlots({ slots: most, to: 's2' })).toBe(12)
    expect(await node.abortMoves([])).toBe(13)
    expect(await node.abortMoves([5])).toBe(13)
    const calls = [
      ['move', { slots: most, to: 's2' }],
      ['abort', []],
      ['abort', [5]]
    ]
    expect(server.calls).toEqual(calls)
    expect(await codeOf(node.moveSlots({ slots: [...most, 1_024], to: 's2' }))).toBe('USAGE')
    expect(await codeOf(node.moveSlots({ slots: [], to: 's2' }))).toBe('USAGE')
    expect(await codeOf(node.abortMoves([...most, 1_024]))).toBe('USAGE')
    expect(server.calls).toEqual(calls)
  })

  it('carries pins and rules of grey releases', async () => {
    const server = await started()
    const node = client(server.port)
    const rule = { version: '0.2.0', hundredths: 5, uids: ['ann'], prefixes: ['vip-', 'é'] }
    expect(await node.addPin({ uid: 'ann', tenant: '', set: 's2' })).toEqual({
      epoch: 15,
      changed: true
    })
    expect(await node.removePin({ uid: '', tenant: 'acme' })).toEqual({ epoch: 16, changed: false })
    expect(await node.setGrey(rule)).toEqual({ epoch: 17, changed: true })
    expect(await node.undoGrey('')).toEqual({ epoch: 18, changed: true })
    expect(server.calls).toEqual([
      ['pin', { uid: 'ann', tenant: '', set: 's2' }],
      ['unpin', { uid: '', tenant: 'acme' }],
      ['grey', rule],
      ['ungrey', '']
    ])
  })

  it('refuses every call without the right credential, before the source is asked', async () => {
    const server = await started()
    for (const wrong of ['', 'b'.repeat(64), credential.slice(1), `${credential}a`]) {
      const node = client(server.port, { credential: wrong })
      expect(await codeOf(node.stop())).toBe('UNAUTHENTICATED')
      expect(await codeOf(node.status())).toBe('UNAUTHENTICATED')
    }
    expect(server.calls).toEqual([])
  })

  it('carries the code and text of a refusal', async () => {
    const server = await started()
    await expect(client(server.port).route('x\n')).rejects.toMatchObject({
      code: 'BAD_UID',
      message: 'bad: x\n'
    })
    expect(await codeOf(client(server.port).issueToken('ann', 0))).toBe('USAGE')
    expect(server.logged).toEqual(['control_refused', 'control_refused'])
  })

  it('hides the text of an unexpected error from the caller and logs it', async () => {
    const server = await started({
      status: async () => {
        throw new TypeError('the secret is 42')
      }
    })
    const error = await client(server.port)
      .status()
      .catch((caught: RingsetError) => caught)
    expect(error).toMatchObject({ code: 'INTERNAL' })
    expect((error as RingsetError).message).not.toContain('42')
    expect(server.logged).toEqual(['control_failed'])
  })

  it('says UNREACHABLE when nobody listens', async () => {
    const server = await started()
    await server.close()
    expect(await codeOf(client(server.port).status())).toBe('UNREACHABLE')
  })

  it('says UNREACHABLE when the listener never speaks', async () => {
    const mute = createServer(() => {})
    await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve))
    closers.push(() => mute.close())
    const { port } = mute.address() as { port: number }
    expect(await codeOf(client(port, { timeoutMs: 150 }).status())).toBe('UNREACHABLE')
  })

  it('says TIMEOUT when the answer does not come in time', async () => {
    const server = await started({ status: () => new Promise(() => {}) })
    expect(await codeOf(client(server.port, { timeoutMs: 200 }).status())).toBe('TIMEOUT')
  })

  it('says ALREADY_RUNNING when the port is taken', async () => {
    const server = await started()
    const { port } = server
    const again = startControlServer({
      host: '127.0.0.1',
      port,
      credential,
      source: {} as ControlSource,
      log: { debug() {}, info() {}, warn() {}, error() {} }
    })
    expect(await codeOf(again)).toBe('ALREADY_RUNNING')
  })

  it('survives garbage on its port', async () => {
    const server = await started()
    await new Promise<void>(resolve => {
      const socket = connect(server.port, '127.0.0.1', () => socket.end('GET / HTTP/1.1\r\n\r\n'))
      socket.on('error', () => {})
      socket.on('close', () => resolve())
      socket.resume()
    })
    expect((await client(server.port).status()).nodeId).toBe('n1')
  })
})

describe('the nodes of a cluster', () => {
  it('are asked for a table one by one: who had the newest when all were asked', async () => {
    const at = (epoch: number) => ({
      status: async () => StatusResponse.fromPartial({ epoch }),
      table: async () => ({ epoch, json: JSON.stringify({ epoch }) })
    })
    const [old, newest] = [await started(at(3)), await started(at(5))]
    const nodes = [old, newest].map(({ port }, i) => {
      return { id: `n${i + 1}`, controlAddress: `127.0.0.1:${port}` }
    })
    const cluster = new ClusterControl({ nodes, credential })
    closers.push(() => cluster.close())
    expect(await cluster.tableOfNewest()).toBeUndefined()
    await cluster.sample()
    expect(await cluster.tableOfNewest()).toMatchObject({ epoch: 5 })
    await newest.close()
    expect(await cluster.tableOfNewest()).toBeUndefined()
    expect((await cluster.sample()).table).toMatchObject({ epoch: 5 })
    expect(await cluster.tableOfNewest()).toMatchObject({ epoch: 3 })
  })
})
