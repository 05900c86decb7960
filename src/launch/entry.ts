import { createRequire } from 'node:module'
import { extname } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/**
 * The arguments after `process.execPath` that run this same program again: the built one when this file is built, else the sources
 * through tsx.
 */
export function programArguments(): string[] {
  const extension = extname(fileURLToPath(import.meta.url))
  const entry = fileURLToPath(new URL(`../../cmd/ringset${extension}`, import.meta.url))
  if (extension === '.js') return [entry]
  const loader = createRequire(import.meta.url).resolve('tsx')
  return ['--import', pathToFileURL(loader).href, entry]
}
