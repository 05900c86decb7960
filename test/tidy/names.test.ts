import { describe, expect, it } from 'vitest'
import { type ErrorCode, errorCodes } from '../../src/base/error-codes.ts'
import { fieldDocs } from '../../src/config/explain.ts'
import { kinds } from '../../src/protocol/kinds.ts'
import { prose, readText, writtenFiles } from './files.ts'

const files = writtenFiles()
const pages = files.filter(path => path === 'README.md' || /^docs[/\\].*\.md$/.test(path))
const source = files
  .filter(path => /^src[/\\].*(?<!\.test)\.ts$/.test(path))
  .map(readText)
  .join('\n')
const inSource = (name: string) => source.includes(`'${name}'`)

/** Every `name` of a page that `pattern` matches as a whole. */
function named(page: string, pattern: RegExp): string[] {
  return [...prose(readText(page)).matchAll(/`([^`\n]+)`/g)]
    .map(match => match[1]!)
    .filter(text => pattern.test(text))
}

describe('names in the pages', () => {
  it('of configuration fields are fields, or events of the log', () => {
    const fields = fieldDocs().map(({ field }) => field)
    let seen = 0
    for (const page of pages) {
      for (const name of named(page, /^(cluster|raft|limits|presence|arbiter|storage)\.[\w]+$/)) {
        expect(
          fields.includes(name) || inSource(name) || /\.json|\.ya?ml$/.test(name),
          `${page}: ${name}`
        ).toBe(true)
        seen++
      }
    }
    expect(seen).toBeGreaterThan(50)
  })

  it('in capitals are error codes, packet kinds or environment variables', () => {
    const known = new Set<string>([...Object.keys(errorCodes), ...Object.keys(kinds), 'NO_COLOR'])
    let seen = 0
    for (const page of pages) {
      for (const name of named(page, /^[A-Z]+(_[A-Z]+)+$/)) {
        const setting = /^(RINGSET|RAFT|UPDATE|ECHO)_/.test(name)
        expect(known.has(name) || setting, `${page}: ${name}`).toBe(true)
        seen++
      }
    }
    expect(seen).toBeGreaterThan(100)
  })

  it('of metrics and events in docs/operations.md are in the code', () => {
    const watch = readText('docs/operations.md').split('## What to watch')[1]!.split('\n## ')[0]!
    const rows = [...watch.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(row => [
      ...row[1]!.matchAll(/`([^`]+)`/g)
    ])
    expect(rows.length).toBeGreaterThan(25)
    for (const [, name = ''] of rows) {
      const code = /^router_refused_(\w+)_total$/.exec(name)?.[1]?.toUpperCase()
      expect(code === undefined ? inSource(name) : errorCodes[code as ErrorCode], name).toBeTruthy()
    }
  })

  it('and defaults in docs/raft.md are those of the configuration', () => {
    const rows = [
      ...readText('docs/raft.md').matchAll(/^\| [^|]+ \| \D*(\d+)[^|]* \| `(raft\.\w+)` \|$/gm)
    ]
    expect(rows.length).toBe(5)
    for (const [, value, field] of rows) {
      expect(fieldDocs().find(doc => doc.field === field)?.initial, field).toBe(Number(value))
    }
  })
})
