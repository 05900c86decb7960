import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { formatLine, type HistoryLine } from '../../src/check/history.ts'
import { makeHistory } from '../../test/support/history-maker.ts'
import { configureCheck } from './check.ts'

let folder: string
let printed: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringset-check-'))
  printed = ''
  vi.spyOn(process.stdout, 'write').mockImplementation(text => {
    printed += text
    return true
  })
})

afterEach(() => {
  vi.restoreAllMocks()
  process.exitCode = undefined
  rmSync(folder, { recursive: true })
})

function check(lines: readonly HistoryLine[], ...options: string[]): void {
  const file = join(folder, 'history.jsonl')
  writeFileSync(file, lines.map(formatLine).join(''))
  run(file, ...options)
}

function run(...words: string[]): void {
  const command = new Command('check').exitOverride().configureOutput({ writeErr: () => {} })
  configureCheck(command)
  command.parse(words, { from: 'user' })
}

/** More than one turn of the reader. */
const good = makeHistory({ seed: 1, operations: 3_000, users: 6, sessions: 6 })

describe('ringset check', () => {
  it('passes a good history of several megabytes', () => {
    check(good, '--json')
    expect(JSON.parse(printed)).toMatchObject({ verdict: 'pass', lines: good.length })
    expect(process.exitCode).toBeUndefined()
  })

  it('exits with 1 and shows examples when a check fails', () => {
    check(good.filter(line => line.f !== 'receive'))
    expect(printed).toMatch(/^FAILED {3}loss/)
    expect(printed).toContain('never received')
    expect(process.exitCode).toBe(1)
  })

  it('leaves checks out', () => {
    const silent = good.filter(line => line.f !== 'receive')
    check(silent, '--json', '--without', 'loss', '--without', 'order')
    expect(JSON.parse(printed).verdict).toBe('pass')
    expect(printed).not.toContain('"order"')
  })

  it('exits with 1 when nothing could be decided', () => {
    check([])
    expect(printed).toContain('unknown: 0 lines')
    expect(process.exitCode).toBe(1)
  })

  it('refuses files that cannot be read and checks that do not exist', () => {
    const usage = expect.objectContaining({ code: 'USAGE' })
    expect(() => run(join(folder, 'none'))).toThrow(usage)
    expect(() => run(folder)).toThrow(usage)
    expect(() => run(folder, '--without', 'truth')).toThrow(/The checks are loss/)
  })
})
