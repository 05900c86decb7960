import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ImClient } from '../../src/client/im-client.ts'
import type { ImClientOptions } from '../../src/client/im-types.ts'
import { LogicClient, type LogicClientOptions } from '../../src/client/logic-client.ts'
import { dataFolder } from '../../src/config/data-folder.ts'
import type { ClusterConfigInput } from '../../src/config/schema.ts'
import { readSecrets } from '../../src/config/secrets.ts'
import type { ClusterStatus } from '../../src/control/cluster-status.ts'
import { startCluster } from '../../src/launch/launch.ts'
import { logTail } from '../../src/launch/node-process.ts'
import type { RunningCluster } from '../../src/launch/running-cluster.ts'
import { wholeClusterConfig } from '../../src/launch/whole-cluster.ts'
import { createToken } from '../../src/net/token.ts'
import { p2pSession, parseSession, routingKey } from '../../src/protocol/session.ts'
import type { RoutingTable } from '../../src/table/table.ts'
import { eventually } from './eventually.ts'

/** The built program: nine processes of it start in the time that one takes to compile the sources. */
export const builtProgram = fileURLToPath(new URL('../../dist/cmd/ringset.js', import.meta.url))

const leaderWithinMs = 20_000
const hourMs = 3_600_000

/** A cluster of real processes on free ports in a temporary folder. `close` ends everything and everybody that was made through it. */
export class TestCluster {
  readonly cluster: RunningCluster
  readonly directory: string
  readonly secret: Buffer
  readonly #closers: (() => Promise<void>)[] = []
  readonly #setOf = new Map<string, string>()

  private constructor(cluster: RunningCluster, directory: string) {
    this.cluster = cluster
    this.directory = directory
    this.secret = readSecrets(directory).secret
  }

  /** Sets s1 and s2 of three routers, two gateways and two logics each, and three arbiters. @param settings sections of the configuration. */
  static async start(settings: Partial<ClusterConfigInput> = {}): Promise<TestCluster> {
    if (!existsSync(builtProgram)) throw new Error('build the program first: npm run build')
    const directory = mkdtempSync(join(tmpdir(), 'ringset-cluster-'))
    try {
      const config = { ...(await wholeClusterConfig(['s1', 's2'])), ...settings }
      const program = [builtProgram]
      const cluster = await startCluster({ config, dataDirectory: directory, program })
      return new TestCluster(cluster, directory)
    } catch (error) {
      rmSync(directory, { recursive: true, force: true })
      throw error
    }
  }

  /** Client addresses of a set's gateways, or of all. */
  gateways(setId?: string): string[] {
    return this.cluster.config.nodes.flatMap(({ host, roles }) =>
      roles.flatMap(role =>
        role.role === 'transfer' && (setId ?? role.set) === role.set
          ? [`tcp://${host}:${role.tcpPort}`]
          : []
      )
    )
  }

  /** The nodes with a router of the set. */
  routerNodes(setId: string): string[] {
    return this.cluster.config.nodes
      .filter(({ roles }) => roles.some(role => role.role === 'router' && role.set === setId))
      .map(({ id }) => id)
  }

  /** `host:port` of a node's listener for nodes and logic clients. */
  peerAddress(nodeId: string): string {
    const node = this.cluster.config.nodes.find(({ id }) => id === nodeId)!
    return `${node.host}:${node.peerPort}`
  }

  token(uid: string, ttlMs = hourMs): string {
    return createToken(this.secret, uid, Date.now() + ttlMs)
  }

  client(uid: string, options: Partial<ImClientOptions> = {}): ImClient {
    const client = new ImClient({
      uid,
      token: this.token(uid),
      addresses: this.gateways(),
      ...options
    })
    this.#closers.push(() => client.close())
    return client
  }

  /** @param addresses default: every router node. */
  logicClient(options: Partial<LogicClientOptions> = {}): LogicClient {
    const addresses = this.setIds.flatMap(id =>
      this.routerNodes(id).map(node => this.peerAddress(node))
    )
    const client = new LogicClient({ addresses, secret: this.secret, ...options })
    this.#closers.push(() => client.close())
    return client
  }

  get setIds(): string[] {
    return this.cluster.config.sets.map(({ id }) => id)
  }

  /** The set that a user lives in. */
  async setOf(uid: string): Promise<string> {
    const known = this.#setOf.get(uid)
    if (known !== undefined) return known
    const { set } = await this.cluster.control.any(node => node.route(uid))
    this.#setOf.set(uid, set)
    return set
  }

  /** The home set of the two users' conversation. */
  homeOf(a: string, b: string): Promise<string> {
    const session = p2pSession(a, b)
    return this.setOf(routingKey(session, parseSession(session)))
  }

  /** The first `count` names `PREFIX-n` that live in the set. */
  async usersOf(setId: string, count: number, prefix = 'user'): Promise<string[]> {
    const users: string[] = []
    for (let n = 1; users.length < count; n++) {
      const uid = `${prefix}-${n}`
      if ((await this.setOf(uid)) === setId) users.push(uid)
    }
    return users
  }

  /** The node of the set's router leader, waited for; never `except`. */
  leader(setId: string, except?: string): Promise<string> {
    return eventually(`set ${setId} has a leader`, leaderWithinMs, async () => {
      const status = await this.cluster.status()
      const leader = status.sets.find(({ id }) => id === setId)?.router.leader
      return leader === except ? undefined : leader
    })
  }

  /** SIGKILL to the set's leader. Returns its node. */
  async killLeader(setId: string): Promise<string> {
    const leader = await this.leader(setId)
    await this.cluster.killNode(leader)
    return leader
  }

  /** SIGKILL to all nodes at once. */
  async killAll(): Promise<void> {
    await Promise.all(this.cluster.config.nodes.map(({ id }) => this.cluster.killNode(id)))
  }

  /** Starts every node that does not run, and waits until the cluster is whole again. */
  async startAll(): Promise<void> {
    const dead = this.cluster.config.nodes.filter(({ id }) => !this.cluster.isRunning(id))
    await Promise.all(dead.map(({ id }) => this.cluster.startNode(id)))
    await this.cluster.waitReady()
  }

  /** The newest routing table that any node has. */
  async newestTable(): Promise<RoutingTable> {
    return (await this.cluster.control.sample()).table!
  }

  status(): Promise<ClusterStatus> {
    return this.cluster.status()
  }

  /** Process ids by node. */
  pids(): Map<string, number> {
    return new Map(this.cluster.processes().map(({ id, pid }) => [id, pid]))
  }

  /** The last lines of the nodes' logs, to be shown when a test fails. */
  logs(nodeIds: readonly string[], maxBytes = 2_000): string {
    const folder = dataFolder(this.directory)
    return nodeIds.map(id => `${id}:\n  ${logTail(id, folder, maxBytes).join('\n  ')}`).join('\n')
  }

  async close(): Promise<void> {
    const closing = this.#closers.splice(0).map(close => close().catch(() => {}))
    await Promise.all(closing)
    for (const { id } of this.cluster.config.nodes) {
      if (this.cluster.isRunning(id)) this.cluster.resumeNode(id)
    }
    await this.cluster.stopAll({ timeoutMs: 0 })
    this.cluster.close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}
