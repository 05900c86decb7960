import type { ClusterStatus, GroupView, SetView } from '../src/control/cluster-status.ts'
import { type Picture, totalRates } from './rates.ts'
import { slotsText } from './slot-list.ts'
import { bytesText, type Colour, durationText, grouped, paint, tableLines } from './terminal.ts'

/** The cluster for people: a line about the whole, a table of sets, one of nodes. Rates only when there is a picture before. */
export function statusLines(picture: Picture, withRates: boolean): string[] {
  const { status, perSecond } = picture
  const sets = status.sets.map(set => {
    const { acks, pushes, commits } = perSecond.get(set.id) ?? totalRates({ perSecond: new Map() })
    return [
      set.id,
      stateText(set.state),
      set.slots,
      leaderText(set),
      ...(withRates ? [acks, pushes, commits].map(Math.round) : []),
      set.router.term,
      grouped(set.router.commit),
      set.state === 'lost' ? survivorText(set.router) : replicasText(set.router),
      connectionsOf(set),
      set.users
    ]
  })
  const rateHeads = withRates ? ['sent/s', 'pushed/s', 'commits/s'] : []
  const heads = ['set', 'state', 'slots', 'leader', ...rateHeads, 'term', 'commit']
  return [
    headline(status),
    '',
    ...tableLines([...heads, 'replicas', 'conns', 'users'], sets),
    ...movesLines(status),
    '',
    ...nodeLines(picture, withRates)
  ]
}

/** Of the clients of a set. */
export function connectionsOf(set: SetView): number {
  return set.transfers.reduce((sum, transfer) => sum + transfer.connections, 0)
}

/** Zones only where there are several. */
function nodeLines({ status, cores }: Picture, withRates: boolean): string[] {
  const zoned = new Set(status.nodes.map(({ zone }) => zone)).size > 1
  const zoneHead = zoned ? ['zone'] : []
  const rateHead = withRates ? ['cpu'] : []
  return tableLines(
    ['node', ...zoneHead, 'state', 'pid', 'up', ...rateHead, 'memory', 'loop p99', 'roles'],
    status.nodes.map(node => [
      node.id,
      ...(zoned ? [node.zone] : []),
      stateText(node.state),
      node.pid || '',
      node.uptimeMs === 0 ? '' : durationText(node.uptimeMs),
      ...(withRates ? [`${Math.round(100 * (cores.get(node.id) ?? 0))} %`] : []),
      node.rssBytes === 0 ? '' : bytesText(node.rssBytes),
      node.uptimeMs === 0 ? '' : `${node.eventLoopP99Ms.toFixed(1)} ms`,
      rolesText(status, node.roles)
    ])
  )
}

function movesLines({ moves }: ClusterStatus): string[] {
  if (moves.length === 0) return []
  const ways = new Map<string, number[]>()
  for (const { slot, from, to } of moves) {
    const way = `${from} → ${to}`
    ways.set(way, [...(ways.get(way) ?? []), slot])
  }
  const texts = [...ways].map(([way, slots]) => `${way}: ${slotsText(slots)}`)
  const count = moves.length === 1 ? '1 slot' : `${moves.length} slots`
  return ['', paint(`${count} on the way, ${texts.join('; ')}`, 'yellow')]
}

/** Says of a gateway that it drains: its node looks as ever. */
function rolesText({ sets }: ClusterStatus, roles: readonly string[]): string {
  const draining = sets
    .flatMap(({ transfers }) => transfers)
    .filter(({ state }) => state === 'draining')
    .map(({ id }) => `transfer/${id}`)
  return roles
    .map(role => (draining.includes(role) ? paint(`${role} (draining)`, 'yellow') : role))
    .join(' ')
}

function headline(status: ClusterStatus): string {
  const { arbiter } = status
  const name = paint(status.cluster || 'cluster', 'bold')
  const leader = arbiter.leader ?? paint('none', 'red')
  return `${name} ${status.clusterId}  epoch ${status.epoch}  arbiter ${leader} (term ${arbiter.term}; ${replicasText(arbiter)})`
}

/** A lost set is led by nobody, for good. */
function leaderText({ state, router }: SetView): string {
  return router.leader ?? (state === 'lost' ? '' : paint('none', 'red'))
}

/** Of a lost set one replica is read; others that answer have no part in it any more. */
function survivorText({ replicas }: GroupView): string {
  const texts = replicas.map(({ id, role }) => {
    if (role === 'unreachable') return paint(`${id}:down`, 'red')
    return role === 'removed' ? paint(`${id}:removed`, 'yellow') : `${id}:read`
  })
  return texts.join(' ')
}

/** How far each replica's log is behind its leader's commit. */
function replicasText({ replicas, commit, joint }: GroupView): string {
  const texts = replicas.map(({ id, role, match }) => {
    if (role === 'unreachable') return paint(`${id}:down`, 'red')
    if (role === 'quarantined') return paint(`${id}:quarantined`, 'red')
    if (role === 'waiting' || role === 'removed') return paint(`${id}:${role}`, 'yellow')
    if (role === 'leader') return paint(`${id}:leader`, 'green')
    const behind = Math.max(0, commit - match)
    if (role === 'learner') {
      return paint(behind > 0 ? `${id}:learner-${grouped(behind)}` : `${id}:learner`, 'cyan')
    }
    return behind > 0 ? `${id}:-${grouped(behind)}` : `${id}:ok`
  })
  return [...texts, ...(joint ? [paint('(changing)', 'yellow')] : [])].join(' ')
}

function stateText(state: string): string {
  const colours: Record<string, Colour> = {
    active: 'green',
    running: 'green',
    unreachable: 'red',
    unavailable: 'red',
    lost: 'red'
  }
  return paint(state, colours[state] ?? 'yellow')
}
