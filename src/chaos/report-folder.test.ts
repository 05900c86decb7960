import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { facts } from '../../test/support/drill-facts.ts'
import { readRuns } from './compare.ts'
import { buildReport } from './report.ts'
import { clearReport, historyFile, logFolder, writeReport } from './report-folder.ts'

describe('the folder of a report', () => {
  let root = ''
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'ringset-report-'))
  })
  afterEach(() => rmSync(root, { recursive: true, force: true }))

  const put = (folder: string, ...names: readonly string[]): void => {
    mkdirSync(folder, { recursive: true })
    for (const name of names) writeFileSync(join(folder, name), 'x')
  }

  it('is made, and holds what `compare` reads', () => {
    const folder = join(root, 'a', 'b')
    expect(historyFile(folder)).toBe(join(folder, 'history.jsonl'))
    expect(existsSync(folder)).toBe(true)
    const report = buildReport(facts())
    writeReport(folder, report)
    expect(readdirSync(folder).sort()).toEqual(['report.html', 'report.json'])
    expect(readRuns(folder)).toMatchObject([{ verdict: report.verdict }])
  })

  it.each(['report.html', 'report.json', 'history.jsonl'])(
    'forgets the drill that left %s',
    name => {
      put(root, name, 'notes.txt')
      put(logFolder(root), 's1-a.log', 'kept.txt')
      clearReport(root)
      expect(readdirSync(root).sort()).toEqual(['logs', 'notes.txt'])
      expect(readdirSync(logFolder(root))).toEqual(['kept.txt'])
    }
  )

  it('keeps logs where no drill was, and may be missing', () => {
    put(logFolder(root), 's1-a.log')
    clearReport(root)
    clearReport(join(root, 'none'))
    expect(readdirSync(logFolder(root))).toEqual(['s1-a.log'])
    expect(readdirSync(root)).toEqual(['logs'])
  })
})
