import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { fieldDocs } from '../../src/config/explain.ts'

const root = new URL('../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')

interface Limit {
  readonly value: number
  readonly setBy: string
}

/** The rows that state a value: | bound | value | set by | … |. */
const limits = read('docs/limits.md')
  .split('\n')
  .flatMap((line): Limit[] => {
    const row = /^\| [^|]+ \| ([\d,.]+) \| ([^|]+) \| [^|]+ \|$/.exec(line)
    return row === null ? [] : [{ value: Number(row[1]!.replaceAll(',', '')), setBy: row[2]! }]
  })

/** Every value that `name` is given in a file as a product of numbers. */
function valuesOf(name: string, file: string): number[] {
  const given = new RegExp(`\\b${name}(?: =|:) ([\\d_.]+(?: \\* [\\d_.]+)*)\\b`, 'g')
  return [...read(`src/${file}`).matchAll(given)].map(([, product = '']) =>
    product.split(' * ').reduce((value, factor) => value * Number(factor.replaceAll('_', '')), 1)
  )
}

describe('docs/limits.md', () => {
  const defaults = new Map(fieldDocs().map(({ field, initial }) => [field, initial]))

  it('states what the code has', () => {
    expect(limits.length).toBeGreaterThan(80)
    for (const { value, setBy } of limits) {
      const constant = /^`(\w+)` in \[([^\]]+)\]\(\.\.\/src\/\2\)$/.exec(setBy)
      if (constant !== null) {
        expect(valuesOf(constant[1]!, constant[2]!), setBy).toContain(value)
      } else {
        expect(defaults.get(/^`([\w.]+)`$/.exec(setBy)?.[1] ?? ''), setBy).toBe(value)
      }
    }
  })

  it('has every field of the `limits` section of the configuration', () => {
    const stated = limits.map(({ setBy }) => setBy)
    for (const field of defaults.keys()) {
      if (field.startsWith('limits.')) expect(stated, field).toContain(`\`${field}\``)
    }
  })
})
