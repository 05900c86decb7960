import { createRequire } from 'node:module'
import {
  cursor,
  type KindName,
  kinds,
  leaderHint,
  message,
  page,
  route
} from '../../src/protocol/kinds.ts'

const layouts = { message, route, cursor, page, leaderHint }

/**
 * docs/protocol.md with the numbers and fields of the code in the rows of its kind tables; directions and remarks stay. Throws when
 * a kind has no row or a row no kind.
 */
export function withKinds(protocolPage: string): string {
  const missing = new Set<string>([...Object.keys(kinds), ...Object.keys(layouts)])
  const take = (name: string): void => {
    if (!missing.delete(name)) throw new Error(`${name} is no kind or layout, or has two rows`)
  }
  const lines = protocolPage.split('\n').map(line => {
    const row = /^\| (?:-|\d+) \| `([A-Z_]+)` \| ([^|]*) \| [^|]* \| ([^|]*) \|$/.exec(line)
    if (row !== null) {
      const [, name = '', direction, about] = row
      take(name)
      const { number, payload } = kinds[name as KindName]
      return `| ${number} | \`${name}\` | ${direction} | ${fieldsCell(payload)} | ${about} |`
    }
    const layout = /^\| `([a-z]\w+)` \| [^|]* \|$/.exec(line)?.[1]
    if (layout === undefined || !(layout in layouts)) return line
    take(layout)
    return `| \`${layout}\` | ${partsCell(layouts[layout as keyof typeof layouts].parts)} |`
  })
  if (missing.size > 0)
    throw new Error(`docs/protocol.md has no row for ${[...missing].join(', ')}`)
  return lines.join('\n')
}

function fieldsCell({ type, parts }: { type: string; parts: readonly string[] }): string {
  if (type in layouts) return `\`${type}\``
  return parts.length === 0 ? '–' : partsCell(parts)
}

function partsCell(parts: readonly string[]): string {
  return parts.map(part => `\`${part}\``).join(', ')
}

interface LayerRule {
  readonly name: string
  readonly to: { readonly pathNot?: string }
}

/** `src/` folder → folders it may import, as .dependency-cruiser.cjs has them. */
export function layers(): Map<string, string[]> {
  const load = createRequire(import.meta.url)
  const { forbidden } = load('../../.dependency-cruiser.cjs') as { forbidden: LayerRule[] }
  const found = new Map<string, string[]>()
  for (const { name, to } of forbidden) {
    if (!name.startsWith('layer-')) continue
    const [self = '', ...allowed] = /\(([^)]*)\)/.exec(to.pathNot ?? '')?.[1]?.split('|') ?? []
    found.set(self, allowed)
  }
  return found
}

/** docs/architecture.md with the third column of its layer table as the rules have it. */
export function withLayers(architecturePage: string): string {
  const rules = layers()
  const seen: string[] = []
  const lines = architecturePage.split('\n').map(line => {
    const row = /^\| `(\w+)` \| ([^|]*) \| [^|]* \|$/.exec(line)
    const allowed = rules.get(row?.[1] ?? '')
    if (row === null || allowed === undefined) return line
    seen.push(row[1]!)
    return `| \`${row[1]}\` | ${row[2]} | ${allowed.join(', ') || '–'} |`
  })
  const wanted = [...rules.keys()]
  if (seen.join() !== wanted.join()) {
    throw new Error(
      `the layer table has rows for ${seen.join(', ')} instead of ${wanted.join(', ')}`
    )
  }
  return lines.join('\n')
}
