import { existsSync, readdirSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { RingsetError } from '../base/errors.ts'
import { checkConfigText, describeProblem, readConfig } from '../config/config.ts'
import type { DataFolder } from '../config/data-folder.ts'
import type { ClusterConfig } from '../config/schema.ts'
import { readHexFile } from '../config/secrets.ts'
import { textOf } from '../config/text-of.ts'
import { holderLives } from '../launch/launch-lock.ts'
import { type Finding, fail, ok, orOk, warn } from './finding.ts'

const leastNode = [20, 19] as const
/** Links, files of the database, listeners, and room to spare. */
const filesBesideClients = 5_000
const problemsShown = 5

export function nodeVersion(version = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const enough = major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1])
  if (enough) return ok('node-version', `Node.js ${version}`)
  const least = leastNode.join('.')
  return fail('node-version', `Node.js ${version} is too old`, `install ${least} or newer`)
}

/** @param limits what /proc/self/limits says; undefined where there is none. */
export function fileLimit(
  config: ClusterConfig | undefined,
  limits = textOf('/proc/self/limits')
): Finding {
  const row = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits ?? '')
  if (row === null) return ok('file-limit', 'not known on this system')
  // Node.js raises its own limit as far as it may.
  const most = row[2] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(row[2])
  const transfers = (config?.nodes ?? []).map(
    ({ roles }) => roles.filter(({ role }) => role === 'transfer').length
  )
  const perTransfer = config?.limits.connectionsPerTransfer ?? 0
  const needed = Math.max(0, ...transfers) * perTransfer + filesBesideClients
  if (most >= needed) return ok('file-limit', `${row[2]} open files`)
  const text = `a process may open ${most} files, and ${needed} with as many clients as limits.connectionsPerTransfer allows`
  const remedy = `raise it (ulimit -Hn, LimitNOFILE), or lower limits.connectionsPerTransfer`
  return warn('file-limit', text, remedy)
}

/** @param freeBytes on the disk of the data folder. */
export function diskSpace(
  folder: DataFolder,
  config: ClusterConfig | undefined,
  freeBytes = freeBytesAt(folder.root)
): Finding {
  return spaceFinding('disk-space', folder.root, freeBytes, config?.storage.reserveBytes ?? 0)
}

/** @param where the folder or node, for people. */
export function spaceFinding(
  check: string,
  where: string,
  freeBytes: number,
  reserveBytes: number
): Finding {
  const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`
  const text = `${mebibytes(freeBytes)} free at ${where}`
  if (freeBytes >= 2 * reserveBytes) return ok(check, text)
  const reserve = `storage.reserveBytes is ${mebibytes(reserveBytes)}`
  const remedy = 'make room: below the reserve routers refuse messages'
  if (freeBytes >= reserveBytes) return warn(check, `${text}, and ${reserve}`, remedy)
  return fail(check, `${text}, and ${reserve}`, remedy)
}

export function secretFiles(folder: DataFolder): Finding[] {
  const used = existsSync(`${folder.root}/nodes`)
  const found = [folder.secretFile, folder.credentialFile].flatMap((path): Finding[] => {
    if (!existsSync(path)) {
      if (!used) return []
      const remedy = 'copy it from another machine of the cluster: the next start makes a new one'
      return [warn('secrets', `${path} is missing`, remedy)]
    }
    const mode = statSync(path).mode & 0o777
    if ((mode & 0o077) !== 0) {
      const text = `${path} may be read by others (mode ${mode.toString(8)})`
      return [fail('secrets', text, `chmod 600 ${path}`)]
    }
    try {
      readHexFile(path)
      return []
    } catch (error) {
      if (!(error instanceof RingsetError)) throw error
      return [fail('secrets', error.message, 'copy it from another machine of the cluster')]
    }
  })
  return orOk(found, 'secrets', used ? 'readable by their owner alone' : 'none yet')
}

export function locks(folder: DataFolder): Finding[] {
  const found = [folder.lockFile, folder.rollLockFile].flatMap((path): Finding[] => {
    const text = textOf(path)
    if (text === undefined || holderLives(text)) return []
    const remedy = `the next command takes it over; if not, rm ${path}`
    return [
      warn('locks', `${path} was left behind by process ${text.trim().split(' ', 1)[0]}`, remedy)
    ]
  })
  const set = textOf(folder.setAddFile)?.trim()
  if (set !== undefined) {
    const remedy = `finish it: ringset set add ${set}, or ringset set remove ${set}`
    found.push(warn('locks', `\`set add\` of ${set} was not finished`, remedy))
  }
  return orOk(found, 'locks', 'none left behind')
}

/** @returns the configuration, too, unless it is wrong or missing. */
export function configuration(path: string): {
  readonly config: ClusterConfig | undefined
  readonly findings: readonly Finding[]
} {
  let text: string
  try {
    text = readConfig(path)
  } catch (error) {
    if (!(error instanceof RingsetError)) throw error
    return { config: undefined, findings: [fail('config', error.message, error.remedy)] }
  }
  const { config, problems, warnings } = checkConfigText(text)
  const remedy = `ringset config check ${path} names all`
  const findings = [
    ...problems.slice(0, problemsShown).map(one => {
      return fail('config', describeProblem(path, one), remedy)
    }),
    ...warnings.map(one =>
      warn('config', describeProblem(path, one), 'ringset config explain nodes')
    )
  ]
  return { config, findings: orOk(findings, 'config', path) }
}

/** Databases of nodes that the configuration does not have. */
export function forgottenNodes(folder: DataFolder, config: ClusterConfig): Finding[] {
  const root = `${folder.root}/nodes`
  const known = new Set(config.nodes.map(({ id }) => id))
  const forgotten = existsSync(root) ? readdirSync(root).filter(id => !known.has(id)) : []
  if (forgotten.length === 0) return []
  const text = `${root} has folders of nodes that the configuration does not have: ${forgotten.join(', ')}`
  return [warn('data-folder', text, 'delete them once their sets or replicas have been removed')]
}

function freeBytesAt(path: string): number {
  const there = existsSync(path) ? path : dirname(path)
  if (!existsSync(there)) return freeBytesAt(there)
  const { bavail, bsize } = statfsSync(there)
  return bavail * bsize
}
