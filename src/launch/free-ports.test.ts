import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { dynamicPortsFrom, isFree } from './free-ports.ts'

const portsPerBlock = 256
const blockOf = (port: number): number => Math.floor(port / portsPerBlock)

/** What another process would choose: each has its own. */
async function chooser(): Promise<(count: number) => Promise<number[]>> {
  vi.resetModules()
  return (await import('./free-ports.ts')).freePorts
}

describe('free ports', () => {
  let freePorts: (count: number) => Promise<number[]>
  beforeEach(async () => {
    freePorts = await chooser()
  })
  afterEach(() => vi.resetModules())

  it('are none that the system gives to outgoing connections, and each comes once', async () => {
    const ports = [...(await freePorts(40)), ...(await freePorts(40))]
    expect(new Set(ports).size).toBe(80)
    expect(Math.max(...ports)).toBeLessThan(dynamicPortsFrom)
    expect(Math.min(...ports)).toBeGreaterThan(1_024)
  })

  it('are not those of another process, even while nobody listens on them', async () => {
    const others = [await chooser(), await chooser(), await chooser()]
    const chosen = await Promise.all([freePorts, ...others].map(choose => choose(30)))
    expect(new Set(chosen.map(ports => blockOf(ports[0]!))).size).toBe(4)
    expect(new Set(chosen.flat()).size).toBe(120)
  })

  it('leave out what somebody listens on', async () => {
    const [first] = await freePorts(130)
    const server = createServer()
    await new Promise<void>(resolve => server.listen(first! + 1, '127.0.0.1', resolve))
    try {
      expect(await isFree(first! + 1)).toBe(false)
      // More than half of them are given out: it begins anew.
      expect(await freePorts(2)).toEqual([first, first! + 2])
    } finally {
      await new Promise(resolve => server.close(resolve))
    }
    expect(await isFree(first! + 1)).toBe(true)
  })

  it('are the system’s, where one process wants more than there are for it', async () => {
    const ports = await freePorts(300)
    expect(new Set(ports).size).toBe(300)
    expect(ports.filter(port => blockOf(port) === blockOf(ports[0]!))).toHaveLength(255)
  })
})
