import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { RingsetError } from '../base/errors.ts'
import type { Clock, Log } from '../base/ports.ts'
import { Prng } from '../base/prng.ts'
import { dataFolder } from '../config/data-folder.ts'
import type { ClusterConfig } from '../config/schema.ts'
import { ensureSecrets } from '../config/secrets.ts'
import { type ControlServer, startControlServer } from '../control/control-server.ts'
import { PeerNetwork } from '../net/peer-network.ts'
import { createLog } from '../observe/log.ts'
import { createMetrics } from '../observe/metrics.ts'
import { ProcessMeter } from '../observe/process-meter.ts'
import { type Database, openDatabase } from '../storage/database.ts'
import { createTableKeeper } from '../table/create-table-keeper.ts'
import type { TableKeeper } from '../table/table-keeper.ts'
import { AddressBook } from './address-book.ts'
import { DiskGuard } from './disk-guard.ts'
import { LagGuard, lagGuardOptions } from './lag-guard.ts'
import { NodeControlSource } from './node-control-source.ts'
import { createNodeFaults } from './node-faults.ts'
import type { NodeParts } from './node-parts.ts'
import { RoleRunner } from './role-runner.ts'
import { buildRoles, type NodeRoles } from './roles.ts'
import { TableCache } from './table-cache.ts'
import { version } from './version.ts'

export interface NodeOptions {
  readonly config: ClusterConfig
  readonly nodeId: string
  readonly dataDirectory: string
}

export interface RunningNode {
  /** Resolves when the node has stopped in order; rejects when it had to give up (DISK_FAILED, INTERNAL). */
  readonly stopped: Promise<void>
  /** Hands over leadership and clients, then stops. `graceful` false skips the handing over. Idempotent. */
  stop(graceful?: boolean): Promise<void>
}

const processClock: Clock = { nowMs: () => performance.now(), wallMs: () => Date.now() }

/** How long a stopping node waits for its roles to hand over. */
const leaveMs = 8_000

/** Starts one node of a cluster in this process. Throws before anything listens when the node or its data is unfit. */
export async function runNode(options: NodeOptions): Promise<RunningNode> {
  const node = new Node(options)
  await node.start()
  return node
}

class Node implements RunningNode {
  readonly stopped: Promise<void>
  readonly #options: NodeOptions
  readonly #folder: string
  readonly #log: Log
  readonly #metrics = createMetrics()
  readonly #meter = new ProcessMeter()
  readonly #keeper: TableKeeper
  readonly #cache: TableCache
  readonly #network: PeerNetwork
  readonly #runner: RoleRunner
  readonly #lagGuard: LagGuard
  readonly #diskGuard: DiskGuard
  readonly #parts: NodeParts
  #database: Database | undefined
  #roles: NodeRoles | undefined
  #control: ControlServer | undefined
  #settle!: { resolve(): void; reject(error: unknown): void }
  #stopping: Promise<void> | undefined

  constructor(options: NodeOptions) {
    const { config, nodeId, dataDirectory } = options
    const node = config.nodes.find(({ id }) => id === nodeId)
    if (node === undefined) {
      throw new RingsetError('NODE_UNKNOWN', `the configuration has no node ${nodeId}`, { nodeId })
    }
    this.#options = options
    this.stopped = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.stopped.catch(() => {})
    this.#folder = dataFolder(dataDirectory).nodeFolder(nodeId)
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    const { secret } = ensureSecrets(dataDirectory)
    const log = createLog({ level: config.log.level, base: { node: nodeId } })
    this.#log = log
    this.#keeper = createTableKeeper({
      onConflict: (inForce, refused) => {
        log.error('table_conflict', { epoch: inForce.epoch, refused })
        this.#metrics.count('table_conflicts_total')
      }
    })
    this.#cache = new TableCache(join(this.#folder, 'table.bin'), this.#keeper, log)
    const bootId = randomBytes(6).readUIntBE(0, 6) || 1
    const faults = config.cluster.faultControl ? createNodeFaults(bootId) : undefined
    const clock = faults?.disturbed(processClock) ?? processClock
    this.#lagGuard = new LagGuard(lagGuardOptions(config.raft.electionMinMs))
    this.#runner = new RoleRunner({
      tickMs: config.raft.tickMs,
      log,
      metrics: this.#metrics,
      links: {
        deliverLocal: () => this.#network.deliverLocal(),
        flush: () => {
          this.#network.flush()
          this.#roles?.flush()
        }
      },
      onLate: lateMs => this.#onLate(lateMs),
      onFatal: error => this.#fatal(error)
    })
    this.#network = new PeerNetwork({
      nodeId,
      bootId,
      secret,
      purpose: 'node',
      listen: { host: node.host, port: node.peerPort },
      carry: config.cluster.carry,
      limits: { queueBytes: config.limits.linkQueueBytes },
      keeper: this.#keeper,
      log,
      metrics: this.#metrics,
      clock,
      random: new Prng(bootId, 'network'),
      faults: faults?.links,
      hints: () => this.#roles?.hints() ?? [],
      onPacket: (to, from, packet) => this.#runner.packet(to, from, packet),
      onPeer: (endpoint, up, refused) => this.#runner.peer(endpoint, up, refused)
    })
    this.#diskGuard = new DiskGuard({
      directory: this.#folder,
      reserveBytes: config.storage.reserveBytes,
      log,
      metrics: this.#metrics,
      nowMs: clock.nowMs,
      handOver: () => this.#roles?.handOver(true) ?? []
    })
    this.#parts = {
      config,
      node,
      bootId,
      clock,
      log,
      metrics: this.#metrics,
      secret,
      keeper: this.#keeper,
      network: this.#network,
      runner: this.#runner,
      disk: this.#diskGuard,
      faults
    }
  }

  /** In dependency order: disk, roles, links, clients, time, control. */
  async start(): Promise<void> {
    const { config, node, log } = this.#parts
    try {
      this.#database = await openDatabase({
        directory: join(this.#folder, 'db'),
        clusterNodeIdentity: `${config.cluster.name}/${node.id}`,
        log,
        metrics: this.#metrics,
        writeBufferBytes: config.storage.writeBufferBytes,
        cacheBytes: config.storage.cacheBytes,
        faults: this.#parts.faults?.disk,
        onFatal: error => this.#fatal(error)
      })
      this.#roles = await buildRoles(this.#parts, this.#database)
      new AddressBook(config, this.#network, this.#keeper)
      this.#keeper.onAdopted(() => this.#runner.tableAdopted())
      await this.#diskGuard.check()
      this.#diskGuard.start()
      await this.#network.listen()
      this.#runner.start()
      await this.#roles.listen()
      this.#control = await this.#startControl()
      log.info('node_started', { version, bootId: this.#parts.bootId })
    } catch (error) {
      await this.#close()
      throw error
    }
  }

  #startControl(): Promise<ControlServer> {
    const { node, log } = this.#parts
    const { dataDirectory } = this.#options
    return startControlServer({
      host: node.host,
      port: node.controlPort,
      credential: ensureSecrets(dataDirectory).credential,
      log,
      source: new NodeControlSource(this.#parts, this.#roles!, this.#meter, {
        state: () => (this.#stopping === undefined ? 'running' : 'stopping'),
        stop: graceful => void this.stop(graceful)
      })
    })
  }

  /** A leader whose loop is late again and again hands over while it still can. */
  #onLate(lateMs: number): void {
    const nowMs = performance.now()
    if (!this.#lagGuard.turn(nowMs, lateMs)) return
    const handed = this.#roles?.handOver() ?? []
    if (handed.length === 0) return
    this.#lagGuard.handedOver(nowMs)
    this.#log.warn('leader_lags', { lateMs: Math.round(lateMs), groups: handed })
    this.#metrics.count('leader_lags_total', handed.length)
  }

  stop(graceful = true): Promise<void> {
    this.#stopping ??= this.#stop(graceful)
    return this.#stopping
  }

  /** In the reverse order of `start`. */
  async #stop(graceful: boolean): Promise<void> {
    this.#log.info('node_stopping', { graceful })
    if (graceful) await this.#runner.leave(leaveMs)
    await this.#close()
    this.#log.info('node_stopped')
    this.#settle.resolve()
  }

  async #close(): Promise<void> {
    this.#diskGuard.stop()
    await this.#control?.close()
    this.#parts.faults?.stop()
    await this.#roles?.close()
    this.#runner.stop()
    await this.#network.close()
    await this.#database?.close()
    await this.#cache.close()
    this.#meter.stop()
  }

  /** Crash beats lying: nothing is flushed, nothing is answered any more. */
  #fatal(error: unknown): void {
    this.#log.error('node_failed', { error })
    this.#runner.stop()
    this.#settle.reject(error)
  }
}
