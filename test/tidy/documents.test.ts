import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { commandTable } from '../../cmd/command-table.ts'
import { errorPage } from '../../cmd/error-page.ts'
import { errorCodes } from '../../src/base/error-codes.ts'
import { loadConfig } from '../../src/config/config.ts'
import { configurationPage } from '../../src/config/explain.ts'
import { version } from '../../src/host/version.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (...path: string[]) => readFileSync(join(root, ...path), 'utf8')

describe('what is listed twice agrees', () => {
  it('docs/configuration.md is what `ringset config explain --markdown` prints', () => {
    expect(read('docs', 'configuration.md')).toBe(configurationPage())
  })

  it('docs/errors.md is what `ringset explain --markdown` prints', () => {
    expect(read('docs', 'errors.md')).toBe(errorPage())
  })

  it('error numbers are used once and sentences end', () => {
    const entries = Object.values(errorCodes)
    expect(new Set(entries.map(({ number }) => number)).size).toBe(entries.length)
    for (const { summary, remedy } of entries) {
      expect(summary).toMatch(/\.$/)
      expect(remedy).toMatch(/[.)]$/)
    }
  })

  it('every example configuration is valid and in the README beside it', () => {
    const folder = join(root, 'cluster-configs')
    const readme = read('cluster-configs', 'README.md')
    const files = readdirSync(folder).filter(name => name.endsWith('.yaml'))
    expect(files.length).toBeGreaterThan(1)
    for (const file of files) {
      expect(loadConfig(join(folder, file)).nodes.length, file).toBeGreaterThan(0)
      expect(readme).toContain(`| \`${file}\` |`)
    }
    const named = [...readme.matchAll(/^\| `([\w-]+\.yaml)` \|/gm)].map(match => match[1])
    expect(named.toSorted()).toEqual(files.toSorted())
  })

  it('the program says the version of package.json', () => {
    expect(JSON.parse(read('package.json')).version).toBe(version)
  })

  it('src/gen is what proto/ generates', () => {
    const out = mkdtempSync(join(tmpdir(), 'ringset-gen-'))
    const bin = join(root, 'node_modules', '.bin')
    const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` }
    try {
      execFileSync(join(bin, 'buf'), ['lint'], { cwd: root, env })
      execFileSync(join(bin, 'buf'), ['generate', '--output', out], { cwd: root, env })
      const file = join('src', 'gen', 'ringset', 'control', 'v1', 'control.ts')
      expect(readFileSync(join(out, file), 'utf8')).toBe(read(file))
    } finally {
      rmSync(out, { recursive: true, force: true })
    }
  }, 30_000)
})

/** Explained once, above the table. */
const sharedOptions = ['--json', '--data', '--connect', '--credential']

async function leaves(): Promise<Command[]> {
  const program = new Command('ringset')
  for (const { name, load } of commandTable) (await load())(program.command(name))
  return program.commands.flatMap(command =>
    command.commands.length > 0 ? command.commands : [command]
  )
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`
}

/** Loaded once: this is most of the program. */
const commands = await leaves()

describe('docs/cli.md', () => {
  const rows = read('docs', 'cli.md')
    .split('\n')
    .flatMap(line => /^\| `(ringset [^`]*)` \|/.exec(line)?.[1] ?? [])

  it('lists every command with its arguments and own options, and no other', () => {
    const found: string[] = []
    for (const command of commands) {
      const name = fullName(command)
      const row = rows.find(text => text === name || text.startsWith(`${name} `))
      expect(row, `docs/cli.md has no row for ${name}`).toBeDefined()
      found.push(row!)
      for (const argument of command.registeredArguments) {
        expect(row, name).toContain(argument.name().toUpperCase())
      }
      for (const { long, short } of command.options) {
        if (sharedOptions.includes(long ?? '')) continue
        expect(row!.includes(`${long}`) || row!.includes(`${short} `), `${name} ${long}`).toBe(true)
      }
    }
    expect(found.toSorted()).toEqual(rows.toSorted())
  })

  it('every command has an example in its help', () => {
    for (const command of commands) {
      let help = ''
      command.configureOutput({ writeOut: text => (help += text) })
      command.outputHelp()
      expect(help, fullName(command)).toContain(`  $ ${fullName(command)}`)
    }
  })
})
