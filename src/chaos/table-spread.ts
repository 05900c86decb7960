import type { EpochChange, NodeSights } from './cluster-watch.ts'

/** How a table came to everybody. */
export interface TableSpread {
  readonly epoch: number
  /** From the first process that was seen with it to the last; null: one answered for long enough and never had it. */
  readonly ms: number | null
  /** The last one to have it, or one that never had. */
  readonly node: string
}

/**
 * Of each table that processes were seen with. One counts when it was there before, and went on to answer until it had the table or was given up
 * on; who looks from time to time sees a table late by as much.
 *
 * @param patienceMs how long one may answer without the table before it counts as one that never had it; one that says nothing for so long is
 * not there.
 */
export function tableSpreads(
  epochs: readonly EpochChange[],
  sights: readonly NodeSights[],
  patienceMs: number
): TableSpread[] {
  const next = sights.map(() => 0)
  return epochs.map(({ atMs, epoch }) => {
    let ms: number | null = 0
    let last = ''
    for (const [i, { node, epochs: seen, lastMs }] of sights.entries()) {
      const first = seen[0]
      if (first === undefined || first.atMs > atMs) continue
      while (next[i]! < seen.length && seen[next[i]!]!.epoch < epoch) next[i]!++
      const had = seen[next[i]!]
      const waitedMs = (had?.atMs ?? lastMs) - atMs
      if (had === undefined && waitedMs < patienceMs) continue
      if (had !== undefined && had.atMs - Math.max(had.beforeMs, atMs) > patienceMs) continue
      if (ms === null || (had !== undefined && waitedMs <= ms)) continue
      ms = had === undefined ? null : waitedMs
      last = node
    }
    return { epoch, ms, node: last }
  })
}

/**
 * Resident memory in bytes, on average over the second and over the last quarter of the time, of the processes that were seen in both, all
 * together. A young process grows until its first collections whatever it does, so the first quarter says nothing. Null without any.
 */
export function memoryOver(
  sights: readonly NodeSights[],
  fromMs: number,
  endMs: number
): { readonly nodes: number; readonly beforeBytes: number; readonly endBytes: number } | null {
  const quarterMs = (endMs - fromMs) / 4
  let nodes = 0
  let beforeBytes = 0
  let endBytes = 0
  for (const { memory } of sights) {
    const before = meanOver(memory, fromMs + quarterMs, fromMs + 2 * quarterMs)
    const end = meanOver(memory, endMs - quarterMs, endMs)
    if (before === null || end === null) continue
    nodes++
    beforeBytes += before
    endBytes += end
  }
  return nodes === 0 ? null : { nodes, beforeBytes, endBytes }
}

function meanOver(memory: NodeSights['memory'], fromMs: number, endMs: number): number | null {
  const within = memory.filter(({ atMs }) => atMs >= fromMs && atMs <= endMs)
  if (within.length === 0) return null
  return within.reduce((sum, { rssBytes }) => sum + rssBytes, 0) / within.length
}
