import { type Picture, totalRates } from './rates.ts'
import { connectionsOf } from './status-lines.ts'
import { grouped } from './terminal.ts'

/** One look for programs; field names are stable. */
export function topJson(picture: Picture) {
  const { status, perSecond, cores } = picture
  return {
    at: new Date().toISOString(),
    cluster: status.cluster,
    epoch: status.epoch,
    arbiter: { leader: status.arbiter.leader, term: status.arbiter.term },
    connections: status.sets.reduce((sum, set) => sum + connectionsOf(set), 0),
    perSecond: rounded(totalRates(picture)),
    sets: status.sets.map(set => ({
      id: set.id,
      state: set.state,
      leader: set.router.leader,
      term: set.router.term,
      commit: set.router.commit,
      connections: connectionsOf(set),
      users: set.users,
      perSecond: rounded(perSecond.get(set.id) ?? totalRates({ perSecond: new Map() }))
    })),
    nodes: status.nodes.map(({ id, state, rssBytes, eventLoopP99Ms }) => ({
      id,
      state,
      cores: tenths(cores.get(id) ?? 0, 1_000),
      rssBytes,
      eventLoopP99Ms
    }))
  }
}

/** One look in one line. */
export function topLine(picture: Picture): string {
  const { status, perSecond } = picture
  const { acks, pushes, commits } = totalRates(picture)
  const connections = status.sets.reduce((sum, set) => sum + connectionsOf(set), 0)
  const sets = status.sets.map(({ id, state, router }) => {
    const sent = Math.round(perSecond.get(id)?.acks ?? 0)
    return `${id} ${router.leader ?? (state === 'lost' ? state : 'no leader')} ${sent}/s`
  })
  const down = status.nodes.filter(({ state }) => state === 'unreachable').map(({ id }) => id)
  return [
    new Date().toISOString(),
    `sent ${grouped(acks)}/s`,
    `pushed ${grouped(pushes)}/s`,
    `commits ${grouped(commits)}/s`,
    `${connections} conns`,
    `epoch ${status.epoch}`,
    ...sets,
    ...(down.length === 0 ? [] : [`unreachable: ${down.join(' ')}`])
  ].join('  ')
}

function rounded<T extends object>(rates: T): Record<keyof T, number> {
  const entries = Object.entries(rates).map(([name, rate]) => [name, tenths(rate as number, 10)])
  return Object.fromEntries(entries) as Record<keyof T, number>
}

function tenths(value: number, parts: number): number {
  return Math.round(value * parts) / parts
}
