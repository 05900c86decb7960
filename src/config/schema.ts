import { z } from 'zod'
import { cluster, node, set } from './topology-schema.ts'
import { arbiter, limits, log, presence, raft, storage } from './tuning-schema.ts'

/** The one description of a configuration file: type, defaults, bounds and documentation come from here. */
export const configSchema = z.strictObject({
  cluster,
  sets: z.array(set).min(1).max(1000),
  nodes: z.array(node).min(1).max(1000),
  raft: raft.prefault({}),
  limits: limits.prefault({}),
  presence: presence.prefault({}),
  arbiter: arbiter.prefault({}),
  storage: storage.prefault({}),
  log: log.prefault({})
})

/** A configuration with every default filled in. */
export type ClusterConfig = z.output<typeof configSchema>
/** What a file may say: defaulted fields may be missing. */
export type ClusterConfigInput = z.input<typeof configSchema>
export type NodeConfig = ClusterConfig['nodes'][number]
export type RoleConfig = NodeConfig['roles'][number]
/** The settings of one kind of role. */
export type RoleConfigOf<K extends RoleConfig['role']> = Extract<RoleConfig, { role: K }>
