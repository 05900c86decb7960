import { PeerNetwork } from '../../src/net/peer-network.ts'
import type { PacketRoute, Site, Tampering } from '../../src/sim/mutants/mutant.ts'
import { buildNamed } from './builds.ts'

/** What is broken in this process, and the same word as in its log, by which the runner knows that it was. */
const { RINGSET_BROKEN_BUILD: name = '' } = process.env

/** As much of a simulated process as the mutants ask of one. */
const self = {
  bootId: process.pid,
  soon: (work: () => void): void => void setImmediate(work)
} as unknown as Site['process']

export const siteOf = (group: string, replicaId: number): Site => {
  return { process: self, group, replicaId }
}

export const tampering: Tampering = name === '' ? {} : buildNamed(name).tamper()

const { packet } = tampering
if (packet !== undefined) {
  const { send } = PeerNetwork.prototype
  PeerNetwork.prototype.send = function (from, to, asked) {
    const route: PacketRoute = { process: self, from, to }
    const sent = packet(asked, route)
    return sent === undefined || send.call(this, from, to, sent)
  }
}

process.stderr.write(`${JSON.stringify({ level: 'warn', event: 'broken_build', name })}\n`)
