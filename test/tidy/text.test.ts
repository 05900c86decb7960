import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { prose, readText, root, writtenFiles } from './files.ts'
import { withLayers } from './pages.ts'

const files = writtenFiles()
const pages = files.filter(path => path.endsWith('.md'))

/** The anchors GitHub makes of the headings of a page. */
function anchors(path: string): string[] {
  return [...prose(readText(path)).matchAll(/^#+ (.+)$/gm)].map(match =>
    match[1]!
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-')
  )
}

describe('what is written', () => {
  it('links to files and headings that are there', () => {
    expect(pages.length).toBeGreaterThan(15)
    for (const page of pages) {
      for (const [link, target = ''] of prose(readText(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target)) continue
        const [path = '', anchor] = target.split('#')
        const linked = path === '' ? page : join(dirname(page), path)
        expect(existsSync(join(root, linked)), `${page}: ${link}`).toBe(true)
        if (anchor !== undefined) expect(anchors(linked), `${page}: ${link}`).toContain(anchor)
      }
    }
  })

  it('names pages of docs/ that are there', () => {
    for (const file of files) {
      for (const [name] of readText(file).matchAll(/\bdocs\/[\w/-]+\.md\b/g)) {
        expect(existsSync(join(root, name)), `${file} names ${name}`).toBe(true)
      }
    }
  })

  it('every page of docs/ is linked from the README', () => {
    const readme = readText('README.md')
    for (const page of pages) {
      if (dirname(page) === 'docs') expect(readme, page).toContain(`(${page})`)
    }
  })

  it('has no leftovers: markers, skipped tests, paths of one machine', () => {
    // In pieces, so that this file does not find itself.
    const leftovers = [
      ['TO', 'DO'],
      ['FIX', 'ME'],
      ['XX', 'X\\b'],
      ['not ', 'implemented'],
      ['\\b(?:it|test|describe)\\.(?:sk', 'ip|on', 'ly|to', 'do)\\b'],
      ['(?<![\\w.*])/(?:wo', 'rk|ho', 'me|ro', 'ot|Us', 'ers)/']
    ].map(parts => new RegExp(parts.join('')))
    for (const file of files) {
      const text = readText(file)
      for (const leftover of leftovers) expect(leftover.exec(text)?.[0], file).toBeUndefined()
    }
  })

  it('docs/architecture.md shows the layers that are enforced (`npm run docs` writes them)', () => {
    const page = readText(join('docs', 'architecture.md'))
    expect(withLayers(page)).toBe(page)
  })
})
