import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

const folders = ['src', 'cmd', 'test', 'docs', 'proto', 'cluster-configs']
const rootFiles = ['README.md', 'CHANGELOG.md', 'package.json', 'vitest.config.ts']

/** Paths of everything that people write here, relative to the root: what npm, TypeScript and buf make is left out. */
export function writtenFiles(): string[] {
  const found = folders.flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => relative(root, join(entry.parentPath, entry.name)))
  )
  return [...rootFiles, ...found.filter(path => !path.startsWith(join('src', 'gen')))].sort()
}

export function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

/** A Markdown page without its fenced blocks. */
export function prose(markdown: string): string {
  return markdown.replaceAll(/^```[^\n]*\n[\s\S]*?^```$/gm, '')
}

/** The fenced blocks of one language. */
export function blocks(markdown: string, language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm')
  return [...markdown.matchAll(fence)].map(match => match[1]!)
}
