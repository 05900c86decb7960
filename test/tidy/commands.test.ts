import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { commandTable } from '../../cmd/command-table.ts'
import { blocks, readText, writtenFiles } from './files.ts'

const program = new Command('ringset')
for (const { name, load } of commandTable) (await load())(program.command(name))

/** `ringset …` in the shell blocks of the pages, as words; without remarks and what a shell would do. */
const examples = writtenFiles()
  .filter(path => path.endsWith('.md'))
  .flatMap(page =>
    blocks(readText(page), 'sh').flatMap(block =>
      [...block.matchAll(/^(?:npx )?ringset ([^#\n]+)/gm)].map(match => {
        const words = match[1]!.trim().match(/"[^"]*"|\S+/g) ?? []
        return { page, line: match[0].trim(), words }
      })
    )
  )

describe('commands that the pages show', () => {
  it('are there, with these options and arguments', () => {
    expect(examples.length).toBeGreaterThan(8)
    for (const { page, line, words } of examples) {
      if (words[0] === '--help') continue
      let command = program
      while (command.commands.length > 0) {
        const next = command.commands.find(one => one.name() === words[0])
        expect(next, `${page}: ${line}`).toBeDefined()
        command = next!
        words.shift()
      }
      const { operands, unknown } = command.parseOptions(words)
      expect(unknown, `${page}: ${line}`).toEqual([])
      const { registeredArguments } = command
      const required = registeredArguments.filter(argument => argument.required).length
      expect(operands.length, `${page}: ${line}`).toBeGreaterThanOrEqual(required)
      expect(operands.length, `${page}: ${line}`).toBeLessThanOrEqual(registeredArguments.length)
    }
  })

  it('of npm are scripts of package.json', () => {
    const { scripts } = JSON.parse(readText('package.json')) as { scripts: Record<string, string> }
    for (const page of ['README.md', ...writtenFiles().filter(path => /^docs.*\.md$/.test(path))]) {
      for (const [, name] of readText(page).matchAll(/\bnpm run ([\w-]+)/g)) {
        expect(Object.keys(scripts), page).toContain(name)
      }
    }
  })
})
