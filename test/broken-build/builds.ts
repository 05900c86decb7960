import { answer } from '../../src/protocol/packet.ts'
import type { Tampering } from '../../src/sim/mutants/mutant.ts'
import { mutantNamed } from '../../src/sim/mutants/registry.ts'
import { forgetful } from '../../src/sim/mutants/router-messages.ts'
import type { World } from '../../src/sim/world.ts'

/** Nodes that break one rule, and a drill on real processes in which it does harm. */
export interface BrokenBuild {
  /** Of the mutant that breaks the same rule in the simulation. */
  readonly name: string
  /** A drill that comes with the program, or a file beside this one. */
  readonly scenario: string
  /** Checks of its report that ought to notice; NODE_FAILED: nodes that notice it themselves, and stop. */
  readonly noticedBy: readonly string[]
  /** Called once a process. */
  tamper(): Tampering
}

/** The mutants' own way, which knows no more than one process does. */
function asSimulated(name: string): () => Tampering {
  const noWorld = new Proxy({} as World, {
    get: (_, part) => {
      throw new Error(`${name} needs the ${String(part)} of a simulated world`)
    }
  })
  return () => mutantNamed(name).tamper(noWorld)
}

function build(
  scenario: string,
  name: string,
  noticedBy: readonly string[],
  tamper = asSimulated(name)
): BrokenBuild {
  return { name, scenario, noticedBy, tamper }
}

export const brokenBuilds: readonly BrokenBuild[] = [
  build('all-at-once.yaml', 'early-ack', ['loss', 'reassigned', 'session-log']),
  build('all-at-once.yaml', 'drops-tail', ['loss', 'reassigned', 'session-log']),
  build('all-at-once.yaml', 'sequence-again', ['sequences']),
  build('minority-partition', 'commits-alone', ['loss', 'reassigned', 'session-log']),
  build('one-way-partition', 'deaf-leads-on', ['first-ack']),
  build('leader-kill', 'msgid-twice', ['reassigned', 'session-log']),
  build('leader-kill', 'ack-first', ['reassigned', 'loss', 'session-log'], acknowledgesFirst),
  build('leader-kill', 'channel-skips', ['loss', 'contiguity', 'settled']),
  build(
    'retry-storm',
    'dedup-forgotten',
    ['duplicates', 'reassigned', 'session-log'],
    forgetsWithTime
  ),
  build('retry-storm', 'new-id-on-retry', ['duplicates', 'reassigned']),
  // Two messages of one conversation have to be in one batch, as they are when a set is back that was down for seconds.
  build('brief-set-down.yaml', 'channel-repeats', ['reassigned', 'duplicates', 'loss']),
  build('brief-set-down.yaml', 'outbox-trimmed-early', ['NODE_FAILED', 'loss', 'settled']),
  build('transfer-crash', 'cursor-beyond', ['contiguity', 'loss', 'settled']),
  build('lost-pushes.yaml', 'older-gone', ['contiguity', 'loss']),
  build('thousand-moves', 'takes-unasked', ['ownership', 'reassigned', 'loss', 'settled']),
  build('thousand-moves', 'unseals-early', ['ownership', 'reassigned', 'session-log', 'settled'])
]

export function buildNamed(name: string): BrokenBuild {
  return brokenBuilds.find(one => one.name === name)!
}

/** The replicas of a process hear nothing of those of others: they forget at the same entries, leader or not. */
function forgetsWithTime(): Tampering {
  const everyEntries = 5
  return {
    machine: machine => forgetful(machine, index => Math.floor(index / everyEntries))
  }
}

/** What is likely is one more than the gateway acknowledged last. */
function acknowledgesFirst(): Tampering {
  const latest = new Map<string, number>()
  return {
    transfer: (role, _process, toClient) => {
      const { onClientPacket } = role
      role.onClientPacket = (connId, received) => {
        if (received.kind === 'SEND') {
          const { clientMsgId, session } = received.payload
          const msgid = (latest.get(session) ?? 0) + 1
          latest.set(session, msgid)
          const ack = { clientMsgId, session, msgid, duplicate: false, atMs: 0 }
          toClient(connId, answer(received, 'ACK', ack))
        }
        onClientPacket.call(role, connId, received)
      }
    }
  }
}
