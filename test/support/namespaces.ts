import { spawnSync } from 'node:child_process'
import { networkInterfaces } from 'node:os'

/** A namespace of this test's own. */
export const probe = `rstest-${process.pid}`

/** Whether this system lets network namespaces be made, found out without the program. */
export function makesNamespaces(): boolean {
  const made = spawnSync('ip', ['netns', 'add', probe]).status === 0
  if (made) spawnSync('ip', ['netns', 'del', probe])
  return made && process.getuid?.() === 0
}

/** Namespaces and devices of drills. */
export function namespaceTraces(): string[] {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' })
  const spaces = (stdout ?? '').split('\n').filter(line => line.startsWith('ringset-'))
  return [...spaces, ...Object.keys(networkInterfaces()).filter(name => /^rs\d+$/.test(name))]
}
