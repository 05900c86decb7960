import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { CommandLine } from '../support/command-line.ts'

describe('drills that make no sense', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringset-refusals-'))
  const ringset = new CommandLine(folder, folder)
  afterAll(() => {
    ringset.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it.each([
    ['run nosuch', 2, 'USAGE', /no scenario is called nosuch; there are .*leader-kill/],
    ['run nosuch.yaml', 1, 'CONFIG_INVALID', /nosuch\.yaml: cannot be read \(ENOENT\)/],
    ['run leader-kill --seed x', 2, 'USAGE', /--seed/],
    ['run leader-kill --duration 0', 2, 'USAGE', /a number of seconds above 0/],
    ['run set-down --duration 20', 2, 'USAGE', /before the first fault, which comes after 25 s/],
    ['run leader-kill --attach --netns', 2, 'USAGE', /leave --attach away/],
    ['run leader-kill --accept-outages', 2, 'USAGE', /consent is for --attach/],
    ['suite --runs 0', 2, 'USAGE', /from 1 to 1000/],
    ['suite --only leader-kill,nosuch', 2, 'USAGE', /no scenario is called nosuch/],
    ['suite --resume', 2, 'USAGE', /of a --report folder/],
    ['suite --resume --report nowhere', 2, 'USAGE', /nowhere.runs\.jsonl: there is no such file/],
    ['suite --resume --report nowhere --minutes 5', 2, 'USAGE', /leave --minutes away/],
    ['compare nowhere nowhere', 2, 'USAGE', /nowhere: there is no such file or folder/]
  ])('are refused before anything starts: %s', async (words, exit, code, text) => {
    const {
      code: ended,
      stdout,
      stderr
    } = await ringset.run('chaos', ...words.split(' '), '--json')
    expect([ended, stdout]).toEqual([exit, ''])
    const [line, ...others] = stderr.trim().split('\n')
    expect(others).toEqual([])
    expect(JSON.parse(line!).error).toMatchObject({ code, text: expect.stringMatching(text) })
    expect(readdirSync(folder)).toEqual([])
  })
})
