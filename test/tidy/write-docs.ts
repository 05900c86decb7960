// Brings the parts of docs/ that are made from code up to date: `npm run docs`.
import { readFileSync, writeFileSync } from 'node:fs'
import { withKinds, withLayers } from './pages.ts'

for (const [name, update] of [
  ['protocol.md', withKinds],
  ['architecture.md', withLayers]
] as const) {
  const url = new URL(`../../docs/${name}`, import.meta.url)
  writeFileSync(url, update(readFileSync(url, 'utf8')))
}
