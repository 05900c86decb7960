import type { Command } from 'commander'

export interface CommandEntry {
  readonly name: string
  readonly summary: string
  /** Adds arguments, options, examples and action. Loaded only for the command that runs. */
  load(): Promise<(command: Command) => void>
}

/** Every command, in the order of the help text. */
export const commandTable: readonly CommandEntry[] = [
  {
    name: 'up',
    summary: 'start a cluster and watch it',
    load: async () => (await import('./commands/up.ts')).configureUp
  },
  {
    name: 'down',
    summary: 'stop the cluster',
    load: async () => (await import('./commands/down.ts')).configureDown
  },
  {
    name: 'status',
    summary: 'show the whole cluster',
    load: async () => (await import('./commands/status.ts')).configureStatus
  },
  {
    name: 'top',
    summary: 'watch a cluster at work',
    load: async () => (await import('./commands/top.ts')).configureTop
  },
  {
    name: 'doctor',
    summary: 'look for what is wrong, and say what to do',
    load: async () => (await import('./commands/doctor.ts')).configureDoctor
  },
  {
    name: 'node',
    summary: 'run, start, stop, kill, pause or resume one node',
    load: async () => (await import('./commands/node.ts')).configureNode
  },
  {
    name: 'roll',
    summary: 'restart every node, one after the other, under load',
    load: async () => (await import('./commands/roll.ts')).configureRoll
  },
  {
    name: 'router',
    summary: 'hand over, add, promote or remove replicas of a set',
    load: async () => (await import('./commands/router.ts')).configureRouter
  },
  {
    name: 'transfer',
    summary: 'drain a gateway, or let it take clients again',
    load: async () => (await import('./commands/transfer.ts')).configureTransfer
  },
  {
    name: 'set',
    summary: 'add a set to the cluster, or remove one',
    load: async () => (await import('./commands/set.ts')).configureSet
  },
  {
    name: 'slot',
    summary: 'move slots from set to set',
    load: async () => (await import('./commands/slot.ts')).configureSlot
  },
  {
    name: 'pin',
    summary: 'hold the slot of a user, or a tenant, in a set',
    load: async () => (await import('./commands/pin.ts')).configurePin
  },
  {
    name: 'grey',
    summary: 'send some users to logics of another version',
    load: async () => (await import('./commands/grey.ts')).configureGrey
  },
  {
    name: 'table',
    summary: 'print the routing table',
    load: async () => (await import('./commands/table.ts')).configureTable
  },
  {
    name: 'route',
    summary: 'show where a user lives and why',
    load: async () => (await import('./commands/route.ts')).configureRoute
  },
  {
    name: 'token',
    summary: 'make a connect token for a user',
    load: async () => (await import('./commands/token.ts')).configureToken
  },
  {
    name: 'send',
    summary: 'send one message',
    load: async () => (await import('./commands/send.ts')).configureSend
  },
  {
    name: 'listen',
    summary: 'print messages as they arrive',
    load: async () => (await import('./commands/listen.ts')).configureListen
  },
  {
    name: 'history',
    summary: 'print the messages of a conversation',
    load: async () => (await import('./commands/history.ts')).configureHistory
  },
  {
    name: 'chat',
    summary: 'chat in the terminal',
    load: async () => (await import('./commands/chat.ts')).configureChat
  },
  {
    name: 'bench',
    summary: 'measure a cluster on this machine',
    load: async () => (await import('./commands/bench.ts')).configureBench
  },
  {
    name: 'sim',
    summary: 'try whole clusters in virtual time, by seed',
    load: async () => (await import('./commands/sim.ts')).configureSim
  },
  {
    name: 'chaos',
    summary: 'run failure drills on real processes, with a verdict',
    load: async () => (await import('./commands/chaos.ts')).configureChaos
  },
  {
    name: 'check',
    summary: 'judge the history of a run',
    load: async () => (await import('./commands/check.ts')).configureCheck
  },
  {
    name: 'config',
    summary: 'check a configuration, explain its fields',
    load: async () => (await import('./commands/config.ts')).configureConfig
  },
  {
    name: 'explain',
    summary: 'explain an error code',
    load: async () => (await import('./commands/explain.ts')).configureExplain
  }
]
