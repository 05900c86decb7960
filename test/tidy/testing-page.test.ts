import { basename } from 'node:path'
import { describe, expect, it } from 'vitest'
import { meanings } from '../../src/chaos/report-words.ts'
import { mutants } from '../../src/sim/mutants/registry.ts'
import { brokenBuilds } from '../broken-build/builds.ts'
import { readText, writtenFiles } from './files.ts'

/** Scenarios that the catalogue numbers. */
const last = 104
const scriptFolder = 'test/script/raft/'

interface Row {
  readonly number: number
  readonly where: string
  /** Scripts and test files. */
  readonly names: readonly string[]
}

const rows = readText('docs/testing.md')
  .split('\n')
  .flatMap((line): Row[] => {
    const row = /^\| (\d+) \| [SPDC] \| [^|]+ \| ([^|]+) \|$/.exec(line)
    if (row === null) return []
    const where = row[2]!
    const names = [...where.matchAll(/`([^`]+)`/g)].map(match => match[1]!)
    return [{ number: Number(row[1]), where, names }]
  })
const files = writtenFiles()
const scripts = files.flatMap(path =>
  path.startsWith(scriptFolder) ? [basename(path, '.txt')] : []
)
const tests = files.map(path => basename(path)).filter(name => name.endsWith('.test.ts'))

describe('the scenario catalogue in docs/testing.md', () => {
  it('has a row for every number, in order', () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: last }, (_, i) => i + 1))
  })

  it('says where each scenario is tested, or why it is not', () => {
    for (const { number, where, names } of rows) {
      const reason = /– [A-Z].{30,}\.$/.test(where)
      expect(names.length > 0 || reason, `scenario ${number}`).toBe(true)
    }
  })

  it('names scripts and test files that exist, and each script in its own row', () => {
    for (const { number, names } of rows) {
      for (const name of names) {
        const found = [...scripts, ...tests].filter(known => known === name)
        expect(found, `${name} of scenario ${number}`).toEqual([name])
      }
      const own = scripts.filter(name => name.startsWith(`${String(number).padStart(3, '0')}-`))
      for (const name of own) expect(names, `scenario ${number}`).toContain(name)
    }
    expect(scripts.length).toBeGreaterThan(70)
  })

  it('names the simulation for every scenario that stands there', () => {
    const text = readText('test/scenario/catalogue.test.ts')
    const simulated = [...text.matchAll(/'(\d{3}) [a-z]/g)].map(match => Number(match[1]))
    const named = rows.filter(({ names }) => names.includes('catalogue.test.ts'))
    expect(named.map(({ number }) => number)).toEqual(simulated.toSorted((a, b) => a - b))
  })
})

describe('the failure cases of the routing table in docs/testing.md', () => {
  const [, section = ''] =
    /^## Failure cases of the routing table$([\s\S]*?)^## /m.exec(readText('docs/testing.md')) ?? []
  const cases = [...section.matchAll(/^\| ([^|]+) \| ([^|]+) \|$/gm)]
    .map(([, name = '', where = '']) => ({ name, where }))
    .filter(({ where }) => where.includes('`'))

  it('all have a test', () => {
    expect(cases.length).toBeGreaterThanOrEqual(18)
    for (const { name, where } of cases) expect(where, name).toContain('.test.ts`: "')
  })

  it('name tests that are there', () => {
    for (const { name, where } of cases) {
      for (const [, file, quoted = ''] of where.matchAll(
        /`([\w-]+\.test\.ts)`(?:: ("[^;|]+"))?/g
      )) {
        const paths = files.filter(path => basename(path) === file)
        const text = paths.map(readText).join('\n')
        expect(text, `${file} of "${name}"`).not.toBe('')
        for (const [, title = ''] of quoted.matchAll(/"([^"]+)"/g)) expect(text).toContain(title)
      }
    }
  })

  it('name drills that are there', () => {
    for (const { where } of cases) {
      for (const [, list = ''] of where.matchAll(/drills? ((?:`[\w-]+`(?:, )?)+)/g)) {
        for (const [, drill] of list.matchAll(/`([\w-]+)`/g)) {
          expect(files).toContain(`cluster-configs/chaos/${drill}.yaml`)
        }
      }
    }
  })
})

describe('rules that are broken on purpose', () => {
  const text = readText('docs/testing.md')
  const section = text.slice(text.indexOf('### Broken builds'), text.indexOf('### Marks'))
  const [builds = '', others = ''] = section.split('What cannot be seen on real processes')
  const named = (part: string): string[] =>
    [...part.matchAll(/^\| ((?:`[\w-]+`(?:, )?)+) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`([\w-]+)`/g)].map(([, name = '']) => name)
    )

  it('are each seen in a drill on real processes, or it is said why not', () => {
    expect(named(builds)).toEqual(brokenBuilds.map(({ name }) => name))
    const all = [...named(builds), ...named(others)]
    expect(all.toSorted()).toEqual(mutants.map(({ name }) => name).toSorted())
  })

  it('are run in drills that are there', () => {
    for (const { scenario } of brokenBuilds) {
      const own = `test/broken-build/${scenario}`
      expect(files, scenario).toContain(
        files.includes(own) ? own : `cluster-configs/chaos/${scenario}.yaml`
      )
    }
  })

  it('are noticed by checks that a report can have', () => {
    for (const { noticedBy } of brokenBuilds) {
      for (const check of noticedBy)
        expect([...Object.keys(meanings), 'NODE_FAILED']).toContain(check)
    }
  })
})
