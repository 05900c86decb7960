import { Command } from 'commander'
import { describe, expect, it, vi } from 'vitest'
import { seconds, type TargetOptions, wholeNumber, withTarget } from './options.ts'

describe('options', () => {
  it('take numbers in range and nothing else', () => {
    const small = wholeNumber(1, 10)
    expect(small('10')).toBe(10)
    for (const bad of ['0', '11', '1.5', '-1', '', 'x', '1e1']) expect(() => small(bad)).toThrow()
    expect(seconds('0.5')).toBe(0.5)
    for (const bad of ['0', '-1', 'x', '', 'Infinity', '2000001'])
      expect(() => seconds(bad)).toThrow()
  })

  it('of the command line name the cluster before those of the environment do', async () => {
    const targetOf = async (...words: string[]) => {
      const targets: TargetOptions[] = []
      const command = withTarget(new Command()).action(options => void targets.push(options))
      await command.parseAsync(words, { from: 'user' })
      return targets[0]
    }
    vi.stubEnv('RINGSET_CONNECT', 'production:7102')
    try {
      expect(await targetOf()).toMatchObject({ connect: 'production:7102' })
      expect((await targetOf('--data', 'test'))?.connect).toBeUndefined()
      const both = await targetOf('--data', 'test', '--connect', 'there:7102')
      expect(both).toMatchObject({ data: 'test', connect: 'there:7102' })
    } finally {
      vi.unstubAllEnvs()
    }
  })
})
