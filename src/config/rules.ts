import { hostPort } from '../base/host-port.ts'
import type { ClusterConfig, RoleConfig } from './schema.ts'

export type FieldPath = readonly (string | number)[]

/** `rule`: the stable name of what was broken. */
export interface Violation {
  readonly path: FieldPath
  readonly rule: string
  readonly text: string
}

type Report = (path: FieldPath, text: string) => void
type Rule = (config: ClusterConfig, report: Report) => void

/** Rules that one field alone cannot break, by name. Each reports every place that breaks it. */
const rules: Readonly<Record<string, Rule>> = {
  'slot-count-power-of-two': ({ cluster }, report) => {
    if ((cluster.slotCount & (cluster.slotCount - 1)) !== 0) {
      report(['cluster', 'slotCount'], 'must be a power of two')
    }
  },
  'slots-for-every-set': ({ cluster, sets }, report) => {
    if (sets.length > cluster.slotCount) {
      report(['cluster', 'slotCount'], `is less than the ${sets.length} sets`)
    }
  },
  'tenant-id-unique': ({ cluster: { tenants } }, report) => {
    unique(
      tenants.map((tenant, i) => [tenant.id, ['cluster', 'tenants', i, 'id']]),
      report
    )
  },
  'tenant-prefixes-apart': ({ cluster: { tenants } }, report) => {
    for (const [i, { prefix }] of tenants.entries()) {
      const other = tenants.find((one, j) => j !== i && prefix.startsWith(one.prefix))
      if (other === undefined) continue
      report(
        ['cluster', 'tenants', i, 'prefix'],
        `begins with "${other.prefix}" of tenant ${other.id}: a user would have two tenants`
      )
    }
  },
  'tenants-below-half': ({ cluster: { tenants, slotCount } }, report) => {
    const slots = tenants.reduce((sum, tenant) => sum + tenant.slots, 0)
    if (slots * 2 < slotCount) return
    report(
      ['cluster', 'tenants'],
      `have ${slots} slots, which is not less than half of ${slotCount}`
    )
  },
  'set-id-unique': ({ sets }, report) => {
    unique(
      sets.map((set, i) => [set.id, ['sets', i, 'id']]),
      report
    )
  },
  'node-id-unique': ({ nodes }, report) => {
    unique(
      nodes.map((node, i) => [node.id, ['nodes', i, 'id']]),
      report
    )
  },
  'role-id-unique': (config, report) => {
    for (const kind of ['transfer', 'logic'] as const) {
      const places = rolesOf(config, kind).map(
        ({ role, path }) => [role.id, [...path, 'id']] as const
      )
      unique(places, report)
    }
  },
  'replica-unique': (config, report) => {
    const replicas = [...rolesOf(config, 'router'), ...rolesOf(config, 'arbiter')]
    const places = replicas.map(
      ({ role, path }) =>
        [`${groupOf(role)}, replica ${role.replica}`, [...path, 'replica']] as const
    )
    unique(places, report)
  },
  'one-replica-per-node': (config, report) => {
    const replicas = [...rolesOf(config, 'router'), ...rolesOf(config, 'arbiter')]
    const seen = new Set<string>()
    for (const { role, node, path } of replicas) {
      const place = `${groupOf(role)} on node ${config.nodes[node]!.id}`
      if (seen.has(place))
        report(path, `is a second replica of the ${place}; they would fail together`)
      seen.add(place)
    }
  },
  'port-unique': ({ nodes }, report) => {
    const places: [string, FieldPath][] = []
    nodes.forEach((node, i) => {
      const at = (port: number) => hostPort(node.host, port)
      places.push([at(node.peerPort), ['nodes', i, 'peerPort']])
      places.push([at(node.controlPort), ['nodes', i, 'controlPort']])
      node.roles.forEach((role, r) => {
        if (role.role !== 'transfer') return
        places.push([at(role.tcpPort), ['nodes', i, 'roles', r, 'tcpPort']])
      })
    })
    unique(places, report)
  },
  'set-exists': (config, report) => {
    const known = config.sets.map(set => set.id)
    for (const kind of ['router', 'transfer', 'logic'] as const) {
      for (const { role, path } of rolesOf(config, kind)) {
        if (known.includes(role.set)) continue
        report([...path, 'set'], `names the set ${role.set}, but the sets are ${known.join(', ')}`)
      }
    }
  },
  'set-complete': (config, report) => {
    config.sets.forEach((set, i) => {
      for (const kind of ['router', 'transfer', 'logic'] as const) {
        const found = rolesOf(config, kind).some(({ role }) => role.set === set.id)
        if (!found) report(['sets', i], `no node has a ${kind} of set ${set.id}`)
      }
    })
  },
  'set-founded': (config, report) => {
    config.sets.forEach((set, i) => {
      const routers = rolesOf(config, 'router').filter(({ role }) => role.set === set.id)
      if (routers.length === 0 || routers.some(({ role }) => !role.join)) return
      report(
        ['sets', i],
        `all routers of set ${set.id} have \`join\`; take it from those that were added long ago`
      )
    })
  },
  'arbiter-exists': (config, report) => {
    if (rolesOf(config, 'arbiter').length === 0) report(['nodes'], 'no node has an arbiter')
  },
  'plaintext-on-loopback': ({ cluster, nodes }, report) => {
    if (cluster.allowPlaintext) return
    nodes.forEach((node, i) => {
      if (isLoopback(node.host)) return
      report(['nodes', i, 'host'], 'is not loopback and `cluster.allowPlaintext` is not set')
    })
  },

  // Times. A follower must outlast lost heartbeats, a leader must hear a round of answers before it gives up.
  'heartbeat-below-half-election': ({ raft }, report) => {
    if (raft.heartbeatMs * 2 < raft.electionMinMs) return
    report(['raft', 'heartbeatMs'], 'must be less than half of raft.electionMinMs')
  },
  'whole-ticks': ({ raft }, report) => {
    for (const field of ['heartbeatMs', 'electionMinMs', 'recampaignMinMs'] as const) {
      if (raft[field] < raft.tickMs) report(['raft', field], 'must be at least raft.tickMs')
    }
  },
  'check-quorum-outlasts-election': ({ raft }, report) => {
    if (raft.checkQuorumMs >= raft.electionMinMs) return
    report(['raft', 'checkQuorumMs'], 'must be at least raft.electionMinMs')
  },
  'heartbeat-range': ({ presence }, report) => {
    if (presence.heartbeatMinMs <= presence.heartbeatMaxMs) return
    report(['presence', 'heartbeatMinMs'], 'must not be more than presence.heartbeatMaxMs')
  },
  'lease-outlasts-failover': ({ presence, raft }, report) => {
    if (presence.transferLeaseMs >= raft.electionMinMs * 4) return
    report(
      ['presence', 'transferLeaseMs'],
      'must be at least four times raft.electionMinMs, or a change of leader would log everybody out'
    )
  },
  'down-after-three-announcements': ({ arbiter }, report) => {
    if (arbiter.downAfterMs >= arbiter.announceMs * 3) return
    report(['arbiter', 'downAfterMs'], 'must be at least three times arbiter.announceMs')
  },

  // Sizes. What is accepted must fit into what carries it.
  'body-fits-frame': ({ limits }, report) => {
    if (limits.bodyBytes + headroomBytes <= limits.frameBytes) return
    report(['limits', 'bodyBytes'], `plus ${headroomBytes} bytes must fit into limits.frameBytes`)
  },
  'append-fits-frame': ({ limits, raft }, report) => {
    if (raft.messageBytes + limits.bodyBytes + headroomBytes <= limits.frameBytes) return
    report(
      ['raft', 'messageBytes'],
      `plus limits.bodyBytes plus ${headroomBytes} bytes must fit into limits.frameBytes`
    )
  },
  'inflight-holds-a-message': ({ raft }, report) => {
    if (raft.inflightBytes >= raft.messageBytes) return
    report(['raft', 'inflightBytes'], 'must be at least raft.messageBytes')
  },
  'uncommitted-holds-a-message': ({ raft }, report) => {
    if (raft.uncommittedBytes >= raft.messageBytes) return
    report(['raft', 'uncommittedBytes'], 'must be at least raft.messageBytes')
  },
  'backlog-range': ({ limits }, report) => {
    if (limits.pushBacklogSoftBytes < limits.pushBacklogHardBytes) return
    report(['limits', 'pushBacklogSoftBytes'], 'must be less than limits.pushBacklogHardBytes')
  },
  'backlog-holds-a-frame': ({ limits }, report) => {
    if (limits.pushBacklogHardBytes >= limits.frameBytes) return
    report(['limits', 'pushBacklogHardBytes'], 'must be at least limits.frameBytes')
  },
  'queue-holds-a-frame': ({ limits }, report) => {
    if (limits.linkQueueBytes >= limits.frameBytes) return
    report(['limits', 'linkQueueBytes'], 'must be at least limits.frameBytes')
  }
}

/** Room for the header, ids and an attached routing table beside a body. */
const headroomBytes = 8 * 1024

/** The names of all cross-field rules. */
export const ruleNames: readonly string[] = Object.keys(rules)

/** Every cross-field rule that `config` breaks, in the order of the rules. */
export function violations(config: ClusterConfig): Violation[] {
  const found: Violation[] = []
  for (const [rule, check] of Object.entries(rules)) {
    check(config, (path, text) => found.push({ path, rule, text }))
  }
  return found
}

interface PlacedRole<K extends RoleConfig['role']> {
  readonly role: Extract<RoleConfig, { role: K }>
  readonly node: number
  readonly path: FieldPath
}

function rolesOf<K extends RoleConfig['role']>(config: ClusterConfig, kind: K): PlacedRole<K>[] {
  return config.nodes.flatMap((node, i) =>
    node.roles.flatMap((role, r) =>
      role.role === kind
        ? [
            {
              role: role as Extract<RoleConfig, { role: K }>,
              node: i,
              path: ['nodes', i, 'roles', r]
            }
          ]
        : []
    )
  )
}

function groupOf(role: Extract<RoleConfig, { replica: number }>): string {
  return role.role === 'router' ? `router group of set ${role.set}` : 'arbiter group'
}

function unique(places: readonly (readonly [string, FieldPath])[], report: Report): void {
  const first = new Map<string, FieldPath>()
  for (const [value, path] of places) {
    const before = first.get(value)
    if (before === undefined) first.set(value, path)
    else report(path, `${value} is used before, at ${fieldName(before)}`)
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

/** `nodes[2].roles[0].tcpPort`; empty for the whole file. */
export function fieldName(path: FieldPath): string {
  return path.reduce<string>((name, part) => {
    if (typeof part === 'number') return `${name}[${part}]`
    return name === '' ? part : `${name}.${part}`
  }, '')
}
