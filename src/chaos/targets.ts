import { RingsetError } from '../base/errors.ts'
import type { Prng } from '../base/prng.ts'
import type { ClusterConfig } from '../config/schema.ts'

/** Who leads each group now: set id or `arbiter` → node id. */
export type Leaders = ReadonlyMap<string, string>

const roles = ['router', 'transfer', 'logic'] as const
type RoleName = (typeof roles)[number]

/** The words of a target; `SET` is a set's id, or `any`, which is drawn anew for each stroke. */
export type Target =
  | { readonly kind: 'everything' }
  | { readonly kind: 'node'; readonly id: string }
  | { readonly kind: 'leader' | 'follower' | 'all'; readonly group: string }
  | { readonly kind: 'role'; readonly role: RoleName; readonly group: string }

/**
 * `everything` · `node ID` · `leader of GROUP` · `follower of GROUP` · `all of GROUP` · `router|transfer|logic of SET`, where GROUP is a
 * set's id, `arbiter`, or `any`. Throws CONFIG_INVALID.
 */
export function parseTarget(text: string, config: ClusterConfig): Target {
  const wrong = (why: string): never => {
    throw new RingsetError('CONFIG_INVALID', `target "${text}": ${why}`, { target: text })
  }
  if (text === 'everything') return { kind: 'everything' }
  const [, node] = /^node (\S+)$/.exec(text) ?? []
  if (node !== undefined) {
    if (config.nodes.some(({ id }) => id === node)) return { kind: 'node', id: node }
    return wrong(`there are the nodes ${config.nodes.map(({ id }) => id).join(', ')}`)
  }
  const [, what, group] = /^(\w+) of (\S+)$/.exec(text) ?? []
  const groups = ['any', ...config.sets.map(({ id }) => id), 'arbiter']
  if (what === undefined || group === undefined) {
    return wrong(
      'write everything, node ID, or leader, follower, all, router, transfer or logic of GROUP'
    )
  }
  if (!groups.includes(group)) return wrong(`there are the groups ${groups.join(', ')}`)
  if (what === 'leader' || what === 'follower' || what === 'all') return { kind: what, group }
  const role = roles.find(name => name === what)
  if (role === undefined)
    return wrong(`${what} is none of leader, follower, all, ${roles.join(', ')}`)
  if (group === 'arbiter') return wrong('the arbiter group has no such role')
  return { kind: 'role', role, group }
}

/**
 * The nodes that a target means at this moment; empty while it has no leader, or when nothing fits.
 * @param free whether a node may be hit now.
 */
export function nodesOf(
  target: Target,
  config: ClusterConfig,
  leaders: Leaders,
  random: Prng,
  free: (node: string) => boolean
): string[] {
  const one = (nodes: readonly string[]): string[] => {
    const fit = nodes.filter(free)
    return fit.length === 0 ? [] : [fit[random.below(fit.length)]!]
  }
  switch (target.kind) {
    case 'everything':
      return config.nodes.map(({ id }) => id).filter(free)
    case 'node':
      return [target.id].filter(free)
    case 'role': {
      return one(holdersOf(config, drawn(target.group, config, random), target.role))
    }
    default: {
      const group = drawn(target.group, config, random)
      const replicas =
        group === 'arbiter' ? arbiterNodes(config) : holdersOf(config, group, 'router')
      if (target.kind === 'all') return allOf(config, group, replicas).filter(free)
      const leader = leaders.get(group)
      if (target.kind === 'leader') return leader === undefined ? [] : [leader].filter(free)
      return one(replicas.filter(id => id !== leader))
    }
  }
}

/** The sets whose users a loss of these nodes may touch: those with a role on them. */
export function setsOn(nodes: readonly string[], config: ClusterConfig): string[] {
  const sets = new Set<string>()
  for (const { id, roles: held } of config.nodes) {
    if (!nodes.includes(id)) continue
    for (const role of held) if ('set' in role) sets.add(role.set)
  }
  return [...sets]
}

function drawn(group: string, config: ClusterConfig, random: Prng): string {
  return group === 'any' ? config.sets[random.below(config.sets.length)]!.id : group
}

function holdersOf(config: ClusterConfig, set: string, role: RoleName): string[] {
  return config.nodes
    .filter(node => node.roles.some(held => held.role === role && held.set === set))
    .map(({ id }) => id)
}

function arbiterNodes(config: ClusterConfig): string[] {
  return config.nodes
    .filter(node => node.roles.some(({ role }) => role === 'arbiter'))
    .map(({ id }) => id)
}

/** Of a set also its gateways and logics. */
function allOf(config: ClusterConfig, group: string, replicas: readonly string[]): string[] {
  if (group === 'arbiter') return [...replicas]
  return config.nodes
    .filter(node => node.roles.some(role => 'set' in role && role.set === group))
    .map(({ id }) => id)
}
