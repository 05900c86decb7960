import { cpSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LevelGroup } from '../support/level-group.ts'
import { flipBit, newestLog, zeroPage } from './level-damage.ts'
import { TestFolder } from './level-harness.ts'

const folder = new TestFolder()
afterAll(() => folder.remove())

/** Does something to the folder of a node that is down; `old` is a copy of the folder from earlier. */
type Damage = (directory: string, old: string) => void

const at =
  (percent: number, damage: (file: string, offset: number) => void): Damage =>
  directory => {
    const file = newestLog(directory)
    damage(file, Math.floor((statSync(file).size * percent) / 100))
  }

function manifest(directory: string): string {
  const level = join(directory, 'level')
  return join(level, readdirSync(level).find(name => name.startsWith('MANIFEST'))!)
}

const damages: Record<string, Damage> = {
  'a flipped bit at the beginning of the log': at(1, flipBit),
  'a flipped bit in the middle': at(50, flipBit),
  'a flipped bit near the end': at(97, flipBit),
  'a zeroed page': at(30, zeroPage),
  'a log cut in the middle': at(50, truncateSync),
  'a log cut near the end': at(99, truncateSync),
  'the newest log file gone': directory => rmSync(newestLog(directory)),
  'the database gone': directory => rmSync(join(directory, 'level'), { recursive: true }),
  'an older database': (directory, old) => {
    rmSync(join(directory, 'level'), { recursive: true })
    cpSync(join(old, 'level'), join(directory, 'level'), { recursive: true })
  },
  'the meta file gone': directory => rmSync(join(directory, 'meta')),
  'a manifest that is no good': directory => writeFileSync(manifest(directory), 'x'),
  'CURRENT gone': directory => rmSync(join(directory, 'level', 'CURRENT')),
  'CURRENT empty': directory => truncateSync(join(directory, 'level', 'CURRENT'), 0),
  'the whole folder gone': directory => rmSync(directory, { recursive: true }),
  'an older folder': (directory, old) => {
    rmSync(directory, { recursive: true })
    cpSync(old, directory, { recursive: true })
  }
}

describe('a group of which one replica is damaged', () => {
  const group = new LevelGroup(folder.sub())
  const acknowledged = new Map<number, string>()
  let count = 0

  async function write(howMany: number): Promise<void> {
    for (let i = 0; i < howMany; i++) {
      const text = `message ${++count} ${'.'.repeat(count % 300)}`
      acknowledged.set(await group.write(text), text)
    }
  }

  function expectEverythingAt(id: number): void {
    const { replica } = group.node(id)
    for (const [index, text] of acknowledged) {
      expect([id, index, replica.getRow(`entry/${index}`)?.toString()]).toEqual([id, index, text])
    }
  }

  beforeAll(async () => {
    await group.start(1, 2, 3)
    await write(150)
  })

  afterAll(() => group.stop(...group.nodes.keys()))

  let next = 0
  for (const [what, damage] of Object.entries(damages)) {
    it(`counts it for nothing until it is healed, and loses nothing: ${what}`, async () => {
      const victim = (next++ % 3) + 1
      const [other, third] = [1, 2, 3].filter(id => id !== victim) as [number, number]
      const old = folder.sub()
      await group.copy(victim, old)
      await write(5)
      // Each tells the others once a second how far it is.
      await group.pass(1_500)
      // Acknowledged by the victim and one other only, which then goes: the victim may not speak for it.
      await group.stop(third)
      await write(20)
      await group.stop(victim)
      damage(group.directory(victim), old)
      await group.stop(other)
      await group.start(victim, third)
      expect(group.node(victim).replica.status().quarantined).toBe(true)
      await group.pass(3_000)
      expect(group.leading()).toBeUndefined()

      await group.start(other)
      await group.until(() => !group.node(victim).replica.status().quarantined)
      await write(3)
      await group.stop(other)
      await write(2)
      const { replica } = await group.leader()
      await group.until(() =>
        [...group.nodes.values()].every(
          node => node.replica.status().applied === replica.status().commit
        )
      )
      expectEverythingAt(victim)
      expectEverythingAt(third)
      await group.start(other)
      expect(group.node(victim).replica.status().quarantined).toBe(false)
    }, 60_000)
  }
})
