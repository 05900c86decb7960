import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { dataFolder } from '../config/data-folder.ts'
import { LogKeeper } from './log-keeper.ts'

describe('logs that a drill keeps', () => {
  let root = ''
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'ringset-logs-'))
  })
  afterEach(() => rmSync(root, { recursive: true, force: true }))

  const write = (id: string, text: string): void => {
    const file = dataFolder(join(root, 'data')).nodeLogFile(id)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text, { flag: 'a' })
  }
  const kept = (keeper: LogKeeper): Record<string, string> => {
    const report = join(root, 'report')
    keeper.keep(report)
    const files = readdirSync(join(report, 'logs'))
    return Object.fromEntries(
      files.sort().map(file => [file, readFileSync(join(report, 'logs', file), 'utf8')])
    )
  }

  it('are those of all nodes that were there, whatever the configuration says by now', () => {
    const keeper = new LogKeeper(join(root, 'data'))
    write('s1-a', 'one\n')
    write('s3-a', 'gone\n')
    expect(kept(keeper)).toEqual({ 's1-a.log': 'one\n', 's3-a.log': 'gone\n' })
  })

  it('begin where the drill began', () => {
    write('s1-a', 'before\n')
    const keeper = new LogKeeper(join(root, 'data'), true)
    write('s1-a', 'after\n')
    write('s3-a', 'new\n')
    expect(kept(keeper)).toEqual({ 's1-a.log': 'after\n', 's3-a.log': 'new\n' })
  })
})
