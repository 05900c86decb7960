import { createServer, type Server } from 'node:net'

/** Ports that systems give to outgoing connections begin here or above. */
export const dynamicPortsFrom = 32_768

const loopback = '127.0.0.1'
const blocksFrom = 10_240
const portsPerBlock = 256
const blockCount = (dynamicPortsFrom - blocksFrom) / portsPerBlock

/** A stretch of ports that is this process's. Its first port is listened on as long as the process lives, by which others know. */
interface Block {
  readonly first: number
  next: number
}

let own: Promise<Block | undefined> | undefined

/**
 * Ports of loopback that nobody listens on, and that stay free while a node that has them is away: the system does not give them to outgoing
 * connections, and no other process that asks here gets them while this one lives. All come from a stretch of 256 that is this process's;
 * past its half the next call begins it anew. Where more are wanted, or all stretches are taken, the system chooses, and promises nothing.
 */
export async function freePorts(count: number): Promise<number[]> {
  own ??= claimBlock()
  const block = await own
  const found: number[] = []
  if (block !== undefined) {
    if (block.next > block.first + portsPerBlock / 2) block.next = block.first + 1
    while (found.length < count && block.next < block.first + portsPerBlock) {
      const port = block.next++
      if (await isFree(port)) found.push(port)
    }
  }
  return [...found, ...(await anyPorts(count - found.length))]
}

/** Whether nobody on loopback listens on it. */
export async function isFree(port: number): Promise<boolean> {
  const server = await listen(port)
  if (server === undefined) return false
  await close(server)
  return true
}

/** From anywhere on, so that those who begin at the same time do not try the same. */
async function claimBlock(): Promise<Block | undefined> {
  const start = Math.floor(Math.random() * blockCount)
  for (let i = 0; i < blockCount; i++) {
    const first = blocksFrom + ((start + i) % blockCount) * portsPerBlock
    const guard = await listen(first)
    guard?.unref()
    if (guard !== undefined) return { first, next: first + 1 }
  }
  return undefined
}

/** All are held until the last is found, so that none comes twice. */
async function anyPorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen(0)))
  const held = servers.filter(server => server !== undefined)
  const ports = held.map(server => (server.address() as { port: number }).port)
  await Promise.all(held.map(close))
  if (held.length < count) throw new Error('no port of loopback can be listened on')
  return ports
}

function listen(port: number): Promise<Server | undefined> {
  return new Promise(resolve => {
    const server = createServer(socket => socket.destroy())
    server.once('error', () => resolve(undefined))
    server.listen(port, loopback, () => resolve(server))
  })
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => server.close(() => resolve()))
}
