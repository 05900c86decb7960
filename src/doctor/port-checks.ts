import { createConnection, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { hostPort } from '../base/host-port.ts'
import type { NodeConfig } from '../config/schema.ts'
import { type Finding, fail, orOk } from './finding.ts'

const connectMs = 1_500

interface Port {
  readonly node: NodeConfig
  readonly port: number
  readonly use: string
}

/**
 * Whether the ports of nodes that run take connections, and those of nodes that do not are free, where they are of this machine.
 *
 * @param answering ids of the nodes that answer. @param living of those whose processes are there, too: they have their ports.
 */
export async function ports(
  nodes: readonly NodeConfig[],
  answering: ReadonlySet<string>,
  living: ReadonlySet<string>
): Promise<Finding[]> {
  const open = nodes.filter(({ id }) => answering.has(id)).flatMap(portsOf)
  const absent = nodes.filter(({ id }) => !answering.has(id) && !living.has(id))
  const closed = absent.filter(({ host }) => isHere(host)).flatMap(portsOf)
  const found = await Promise.all([
    ...open.map(async port => ((await connects(port)) ? undefined : unreachable(port))),
    ...closed.map(async port => ((await isFree(port)) ? undefined : taken(port)))
  ])
  const text = `${open.length} take connections, ${closed.length} are free for nodes that do not run`
  return orOk(
    found.filter(one => one !== undefined),
    'ports',
    text
  )
}

function portsOf(node: NodeConfig): Port[] {
  return [
    { node, port: node.peerPort, use: 'for nodes' },
    { node, port: node.controlPort, use: 'for control' },
    ...node.roles.flatMap(role =>
      role.role === 'transfer' ? [{ node, port: role.tcpPort, use: `of gateway ${role.id}` }] : []
    )
  ]
}

function unreachable({ node, port, use }: Port): Finding {
  const text = `node ${node.id} runs, and ${hostPort(node.host, port)} ${use} takes no connection from here`
  return fail('ports', text, 'look for a firewall between the machines; see the log of the node')
}

function taken({ node, port, use }: Port): Finding {
  const text = `${hostPort(node.host, port)} ${use} of node ${node.id}, which does not run, is in use`
  return fail('ports', text, 'stop the program that has it, or give the node another port')
}

function connects({ node, port }: Port): Promise<boolean> {
  return new Promise(resolve => {
    const socket = createConnection({ host: node.host, port })
    const end = (connected: boolean): void => {
      socket.destroy()
      resolve(connected)
    }
    socket.setTimeout(connectMs, () => end(false))
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}

function isFree({ node, port }: Port): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: node.host, port, exclusive: true }, () =>
      server.close(() => resolve(true))
    )
  })
}

function isHere(host: string): boolean {
  if (host === 'localhost' || host === '::1' || host.startsWith('127.')) return true
  return Object.values(networkInterfaces()).some(list =>
    list?.some(({ address }) => address === host)
  )
}
