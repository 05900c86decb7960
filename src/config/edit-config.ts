import { isMap, isSeq, parseDocument, type YAMLSeq } from 'yaml'
import { RingsetError } from '../base/errors.ts'
import { checkConfigText, describeProblem } from './config.ts'
import type { ClusterConfigInput } from './schema.ts'

type SetInput = ClusterConfigInput['sets'][number]
type NodeInput = ClusterConfigInput['nodes'][number]

/** The text of a configuration with one set more, and the nodes that work for it; all else, comments too, stays. Throws CONFIG_INVALID. */
export function withSet(text: string, set: SetInput, nodes: readonly NodeInput[]): string {
  return edited(text, (sets, all) => {
    sets.add(set)
    for (const node of nodes) all.add(node)
  })
}

/** The text of a configuration without a set, its roles, and the nodes that had no other. The same text when it has no such set. Throws CONFIG_INVALID. */
export function withoutSet(text: string, setId: string): string {
  const { config } = checkConfigText(text)
  if (config?.sets.every(({ id }) => id !== setId)) return text
  return edited(text, (sets, nodes) => {
    removeWhere(sets, item => isMap(item) && item.get('id') === setId)
    removeWhere(nodes, node => {
      const roles = isMap(node) ? node.get('roles') : undefined
      if (!isSeq(roles)) return false
      removeWhere(roles, role => isMap(role) && role.get('set') === setId)
      return roles.items.length === 0
    })
  })
}

function edited(text: string, edit: (sets: YAMLSeq, nodes: YAMLSeq) => void): string {
  const document = parseDocument(text)
  const sets = document.get('sets')
  const nodes = document.get('nodes')
  if (!isSeq(sets) || !isSeq(nodes)) throw new RingsetError('CONFIG_INVALID', 'it has no sets')
  edit(sets, nodes)
  const result = document.toString({ lineWidth: 0 })
  const [problem] = checkConfigText(result).problems
  if (problem === undefined) return result
  throw new RingsetError('CONFIG_INVALID', describeProblem('the new configuration', problem))
}

function removeWhere(list: YAMLSeq, matches: (item: unknown) => boolean): void {
  list.items = list.items.filter(item => !matches(item))
}
