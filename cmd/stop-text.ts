import type { StopReport } from '../src/launch/running-cluster.ts'
import { durationText, paint } from './terminal.ts'

/** One line about how a node ended. */
export function stopText({ id, pid, how, ms }: StopReport): string {
  if (how === 'gone') return `${id} was not running`
  const after = durationText(ms)
  if (how === 'stopped') return `${paint('stopped', 'green')} ${id} (pid ${pid}, ${after})`
  if (how === 'killed') return `${paint('killed', 'yellow')} ${id} (pid ${pid}, after ${after})`
  return `${paint('stuck', 'red')} ${id}: pid ${pid} outlived SIGKILL`
}
