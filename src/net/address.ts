import type { Server } from 'node:net'
import { assert, RingsetError } from '../base/errors.ts'
import type { Log } from '../base/ports.ts'

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** Parses `host:port`, `[v6]:port`, each with or without `tcp://` before it. Throws CONFIG_INVALID on anything else. */
export function parseAddress(address: string): HostPort {
  const match = /^(?:tcp:\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([^[\]:/\s]+)):(\d{1,5})$/.exec(address)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port < 1 || port > 65_535) {
    throw new RingsetError('CONFIG_INVALID', 'an address must be host:port', {
      address: address.slice(0, 300)
    })
  }
  return { host, port }
}

/** Resolves with the port taken (for port 0: any free one), rejects with ALREADY_RUNNING. Later errors of the server are logged. */
export function listenOn(server: Server, at: HostPort, log: Log): Promise<HostPort> {
  return new Promise((resolve, reject) => {
    server.on('error', cause => {
      const facts = { host: at.host, port: at.port }
      log.error('listener_failed', { ...facts, cause: cause.message })
      const text = `cannot listen on port ${at.port} of ${at.host}`
      reject(new RingsetError('ALREADY_RUNNING', text, facts, cause))
    })
    server.listen(at.port, at.host, () => {
      const address = server.address()
      assert(typeof address === 'object' && address !== null, 'a listening server has a port')
      resolve({ host: at.host, port: address.port })
    })
  })
}
