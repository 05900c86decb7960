import { RingsetError } from '../base/errors.ts'
import type { Prng } from '../base/prng.ts'
import type { ClusterConfig } from '../config/schema.ts'

/** Who leads each group now: set id or `arbiter` → node id. */
export type Leaders = ReadonlyMap<string, string>

const roles = ['router', 'transfer', 'logic'] as const
type RoleName = (typeof roles)[number]
const groupParts = ['leader', 'follower', 'followers', 'minority', 'majority', 'all'] as const
type GroupPart = (typeof groupParts)[number]

/** The words of a target; `SET` is a set's id, or `any`, which is drawn anew for each stroke. */
export type Target =
  | { readonly kind: 'everything' }
  | { readonly kind: 'clients' }
  | { readonly kind: 'node'; readonly id: string }
  | { readonly kind: 'zone'; readonly zone: string }
  | { readonly kind: GroupPart; readonly group: string }
  | { readonly kind: 'role'; readonly role: RoleName; readonly group: string }

/**
 * `everything` · `node ID` · `zone ZONE` · `leader|follower|followers|minority|majority|all of GROUP` · `router|transfer|logic of SET` ·
 * `clients`, where GROUP is a set's id, `arbiter`, or `any`. Throws CONFIG_INVALID.
 */
export function parseTarget(text: string, config: ClusterConfig): Target {
  const wrong = (why: string): never => {
    throw new RingsetError('CONFIG_INVALID', `target "${text}": ${why}`, { target: text })
  }
  if (text === 'everything' || text === 'clients') return { kind: text }
  const [, kind, name] = /^(node|zone) (\S+)$/.exec(text) ?? []
  if (kind === 'node') {
    if (config.nodes.some(({ id }) => id === name)) return { kind, id: name! }
    return wrong(`there are the nodes ${config.nodes.map(({ id }) => id).join(', ')}`)
  }
  if (kind === 'zone') {
    const zones = [...new Set(config.nodes.map(({ zone }) => zone))]
    if (zones.includes(name!)) return { kind, zone: name! }
    return wrong(`there are the zones ${zones.join(', ')}`)
  }
  const [, what, group] = /^(\w+) of (\S+)$/.exec(text) ?? []
  const groups = ['any', ...config.sets.map(({ id }) => id), 'arbiter']
  if (what === undefined || group === undefined) {
    const parts = [...groupParts, ...roles].join(', ')
    return wrong(`write everything, clients, node ID, zone ZONE, or one of ${parts} of GROUP`)
  }
  if (!groups.includes(group)) return wrong(`there are the groups ${groups.join(', ')}`)
  const part = groupParts.find(known => known === what)
  if (part !== undefined) return { kind: part, group }
  const role = roles.find(known => known === what)
  if (role === undefined) {
    return wrong(`${what} is none of ${[...groupParts, ...roles].join(', ')}`)
  }
  if (group === 'arbiter') return wrong('the arbiter group has no such role')
  return { kind: 'role', role, group }
}

/** The same target with `any` drawn, so that two targets of one stroke mean the same set. */
export function drawn(target: Target, config: ClusterConfig, random: Prng, group?: string): Target {
  if (!('group' in target) || target.group !== 'any') return target
  const chosen = group ?? config.sets[random.below(config.sets.length)]!.id
  return { ...target, group: chosen }
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
    case 'clients':
      return []
    case 'everything':
      return config.nodes.map(({ id }) => id).filter(free)
    case 'node':
      return [target.id].filter(free)
    case 'zone':
      return config.nodes
        .filter(({ zone }) => zone === target.zone)
        .map(({ id }) => id)
        .filter(free)
    case 'role': {
      const { group } = drawn(target, config, random) as typeof target
      return one(holdersOf(config, group, target.role))
    }
    default: {
      const { group } = drawn(target, config, random) as typeof target
      return partOf(target.kind, config, group, leaders.get(group), one).filter(free)
    }
  }
}

function partOf(
  part: GroupPart,
  config: ClusterConfig,
  group: string,
  leader: string | undefined,
  one: (nodes: readonly string[]) => string[]
): string[] {
  const replicas = group === 'arbiter' ? arbiterNodes(config) : holdersOf(config, group, 'router')
  if (part === 'all') return allOf(config, group, replicas)
  const others = replicas.filter(id => id !== leader)
  if (part === 'follower') return one(others)
  if (leader === undefined) return []
  if (part === 'leader') return [leader]
  if (part === 'followers') return others
  const minority = [leader, ...others].slice(0, Math.max(1, Math.floor((replicas.length - 1) / 2)))
  return part === 'minority' ? minority : replicas.filter(id => !minority.includes(id))
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

/** The gateways on a node. */
export function gatewaysOn(node: string, config: ClusterConfig): string[] {
  const held = config.nodes.find(({ id }) => id === node)?.roles ?? []
  return held.flatMap(role => (role.role === 'transfer' ? [role.id] : []))
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
