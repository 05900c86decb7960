import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { silentLog } from '../../src/base/ports.ts'
import { loadConfig } from '../../src/config/config.ts'
import { dataFolder } from '../../src/config/data-folder.ts'
import type { ClusterConfig, RoleConfigOf } from '../../src/config/schema.ts'
import { readSecrets } from '../../src/config/secrets.ts'
import { startControlServer } from '../../src/control/control-server.ts'
import { StatusResponse, WatchResponse } from '../../src/gen/ringset/control/v1/control.ts'

/**
 * A process that looks like a node to whoever starts and watches it: replica 1 of each group leads, and the table lists who has started.
 * A node whose id begins with `crash` ends at once, `stubborn` ignores SIGTERM, `lonely` never sees a leader.
 */

const [, id = '', , configPath = '', , dataDirectory = ''] = process.argv.slice(3)
const config = loadConfig(configPath)
const node = config.nodes.find(entry => entry.id === id)!
const folder = dataFolder(dataDirectory)

if (id.startsWith('crash')) {
  console.error('the disk is on fire')
  process.exit(3)
}
const bootFile = (nodeId: string) => join(folder.nodeFolder(nodeId), 'boot')
mkdirSync(dirname(bootFile(id)), { recursive: true })
writeFileSync(bootFile(id), String(process.pid))

const server = await startControlServer({
  host: node.host,
  port: node.controlPort,
  credential: readSecrets(dataDirectory).credential,
  log: silentLog,
  source: {
    status: async () => status(),
    sight: () => WatchResponse.fromPartial({ pid: process.pid, epoch: epoch() }),
    newerTable: async () => {},
    table: async () => ({ epoch: epoch(), json: JSON.stringify(table(config)) }),
    route: unsupported,
    issueToken: unsupported,
    stop: unsupported,
    transferLeadership: unsupported,
    changeReplica: unsupported,
    placeReplica: unsupported,
    drainTransfer: unsupported,
    undrainTransfer: unsupported,
    moveSlots: unsupported,
    abortMoves: unsupported,
    changeSet: unsupported,
    addPin: unsupported,
    removePin: unsupported,
    setGrey: unsupported,
    undoGrey: unsupported,
    setFaults: unsupported
  }
})
process.on('SIGTERM', () => {
  if (!id.startsWith('stubborn')) void server.close().then(() => process.exit(0))
})

async function unsupported(): Promise<never> {
  throw new Error('a fake node has nothing to offer here')
}

/** Grows with every look, so that nobody keeps an old table. */
function epoch(): number {
  return Math.floor(performance.timeOrigin + performance.now())
}

function status(): StatusResponse {
  const rolesOf = <K extends 'router' | 'arbiter'>(kind: K) =>
    node.roles.filter((role): role is RoleConfigOf<K> => role.role === kind)
  const raft = (replica: number) => {
    const leads = replica === 1 && !id.startsWith('lonely')
    return { replica, role: leads ? 'leader' : 'follower', term: 1, leader: 1 }
  }
  return StatusResponse.fromPartial({
    nodeId: id,
    pid: process.pid,
    bootId: process.pid,
    state: 'running',
    epoch: epoch(),
    cluster: config.cluster.name,
    routers: rolesOf('router').map(({ set, replica }) => ({ set, raft: raft(replica) })),
    arbiters: rolesOf('arbiter').map(({ replica }) => ({ raft: raft(replica) }))
  })
}

function bootIdOf(nodeId: string): number {
  try {
    return Number(readFileSync(bootFile(nodeId), 'utf8'))
  } catch {
    return 0
  }
}

function table({ sets, nodes }: ClusterConfig) {
  const entries = nodes.flatMap(({ id: nodeId, roles }) =>
    roles.map(role => ({ role, nodeId, bootId: bootIdOf(nodeId), state: 'up' }))
  )
  const pick = (kind: string, set: string) =>
    entries
      .filter(({ role }) => role.role === kind && 'set' in role && role.set === set)
      .map(({ role, ...entry }) => ({
        ...entry,
        id: 'id' in role ? role.id : '',
        replicaId: 'replica' in role ? role.replica : 0,
        clientAddresses: []
      }))
  return {
    clusterId: '00000000000a',
    epoch: epoch(),
    runs: [],
    moves: [],
    grey: [],
    tenants: [],
    arbiters: [],
    sets: sets.map(({ id: set }) => ({
      id: set,
      state: 'active',
      transfers: pick('transfer', set),
      logics: pick('logic', set),
      routers: pick('router', set)
    }))
  }
}
