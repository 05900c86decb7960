import { spawnSync } from 'node:child_process'
import { networkInterfaces } from 'node:os'

/** A namespace of this process's own. */
export const ownNamespace = `rstest-${process.pid}`

let makes: boolean | undefined

/** Whether this system lets network namespaces be made, found out without the program. */
export function makesNamespaces(): boolean {
  if (makes === undefined) {
    const made = spawnSync('ip', ['netns', 'add', ownNamespace]).status === 0
    if (made) spawnSync('ip', ['netns', 'del', ownNamespace])
    makes = made && process.getuid?.() === 0
  }
  return makes
}

/** Namespaces and devices of drills. */
export function namespaceTraces(): string[] {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' })
  const spaces = (stdout ?? '').split('\n').filter(line => line.startsWith('ringset-'))
  return [...spaces, ...Object.keys(networkInterfaces()).filter(name => /^rs\d+$/.test(name))]
}
