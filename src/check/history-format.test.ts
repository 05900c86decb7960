import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { judge, judgeNames } from './check.ts'
import { parseHistory } from './history.ts'

const page = readFileSync(new URL('../../docs/history-format.md', import.meta.url), 'utf8')

describe('docs/history-format.md', () => {
  it('has one row for each judge, in the order of the report', () => {
    const table = page.slice(page.indexOf('## Judges'))
    expect([...table.matchAll(/^\| `([a-z-]+)` \|/gm)].map(row => row[1])).toEqual(judgeNames)
  })

  it('shows a history that passes', () => {
    const example = /```\n(.*?)```/s.exec(page)![1]!
    const judgement = judge(parseHistory([Buffer.from(example)]))
    expect(judgement).toMatchObject({ verdict: 'pass', lines: 7, ignored: {} })
    expect(judgement.checks.find(check => check.name === 'loss')!.judged).toBe(1)
  })
})
