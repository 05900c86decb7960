import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import { hostPort } from '../base/host-port.ts'
import { dataFolder } from '../config/data-folder.ts'
import type { ClusterConfig } from '../config/schema.ts'
import { readHexFile } from '../config/secrets.ts'
import { ClusterControl, type ClusterSample } from '../control/cluster-control.ts'
import { readRecord } from '../launch/cluster-record.ts'
import { isRunning } from '../launch/node-process.ts'
import { type ClockReading, clusterChecks, type Surroundings } from './cluster-checks.ts'
import { type Finding, fail, orOk, warn } from './finding.ts'
import {
  configuration,
  diskSpace,
  fileLimit,
  forgottenNodes,
  locks,
  nodeVersion,
  secretFiles
} from './machine-checks.ts'
import { ports } from './port-checks.ts'

export interface DoctorOptions {
  readonly dataDirectory: string
  /** In place of the one in the data folder. */
  readonly configFile?: string | undefined
  /** Looks at the cluster through this node alone, wherever it is, and not at this machine. */
  readonly connect?: string | undefined
  readonly credentialFile?: string | undefined
}

const answerMs = 2_000
/** A table that has just changed is everywhere within this. */
const convergeMs = 1_000

/** Looks at this machine, the data folder and the cluster, if it runs, and changes nothing. Throws only what `connect` leads to. */
export async function diagnose(options: DoctorOptions): Promise<Finding[]> {
  const { dataDirectory, configFile, connect, credentialFile } = options
  const folder = dataFolder(dataDirectory)
  const credential = credentialFile ?? folder.credentialFile
  if (connect !== undefined) {
    const control = await ClusterControl.discover(connect, readHexFile(credential), answerMs)
    const config = configFile === undefined ? undefined : configuration(configFile).config
    const around = { config, living: new Set<string>() }
    return withCluster(control, sample => clusterFindings(control, sample, around))
  }
  const findings = [nodeVersion()]
  const path = configFile ?? folder.configFile
  if (!existsSync(path) && configFile === undefined) {
    const text = `${folder.root} has no configuration`
    return [
      ...findings,
      fileLimit(undefined),
      warn('data-folder', text, 'ringset up, or name one with -c')
    ]
  }
  const { config, findings: found } = configuration(path)
  findings.push(...found, fileLimit(config), diskSpace(folder, config))
  findings.push(...secretFiles(folder), ...locks(folder))
  if (config === undefined) return findings
  const { living, findings: started } = processes(dataDirectory)
  findings.push(...forgottenNodes(folder, config), ...started)
  const control = controlOf(config, credential)
  if (control === undefined) {
    return [...findings, ...(await ports(config.nodes, new Set(), living)), asleep()]
  }
  return withCluster(control, async sample => [
    ...findings,
    ...(await ports(config.nodes, answering(sample), living)),
    ...(await clusterFindings(control, sample, { config, living }))
  ])
}

async function withCluster(
  control: ClusterControl,
  look: (sample: ClusterSample) => Promise<Finding[]>
): Promise<Finding[]> {
  try {
    return await look(await control.sample())
  } finally {
    control.close()
  }
}

/** Undefined while nobody could be asked: there is no credential. */
function controlOf(config: ClusterConfig, credentialFile: string): ClusterControl | undefined {
  try {
    const nodes = config.nodes.map(({ id, host, controlPort }) => ({
      id,
      controlAddress: hostPort(host, controlPort)
    }))
    const credential = readHexFile(credentialFile)
    return new ClusterControl({ nodes, credential, timeoutMs: answerMs })
  } catch (error) {
    if (error instanceof RingsetError && error.code === 'UNAUTHENTICATED') return undefined
    throw error
  }
}

/** Of the nodes that `up` has started and nobody has stopped, those that live, and what to say of the others. */
function processes(dataDirectory: string): {
  readonly living: ReadonlySet<string>
  readonly findings: readonly Finding[]
} {
  const folder = dataFolder(dataDirectory)
  try {
    const recorded = readRecord(folder)?.nodes ?? []
    const living = new Set(recorded.filter(node => isRunning(node, folder)).map(({ id }) => id))
    if (living.size === 0) return { living, findings: [] }
    const findings = recorded.flatMap(({ id }) => {
      const text = `node ${id} was started and is gone; see ${folder.nodeLogFile(id)}`
      return living.has(id) ? [] : [fail('started', text, `ringset node start ${id}`)]
    })
    const all = `${living.size} processes of \`up\` live`
    return { living, findings: orOk(findings, 'started', all) }
  } catch (error) {
    if (!(error instanceof RingsetError)) throw error
    return { living: new Set(), findings: [fail('started', error.message, error.remedy)] }
  }
}

const answering = ({ nodes }: ClusterSample): Set<string> =>
  new Set(nodes.filter(({ status }) => status !== undefined).map(({ id }) => id))

const asleep = (): Finding => warn('cluster', 'no node answers', 'start it: ringset up')

async function clusterFindings(
  control: ClusterControl,
  first: ClusterSample,
  around: Omit<Surroundings, 'clocks'>
): Promise<Finding[]> {
  if (answering(first).size === 0) return [asleep()]
  const clocks = await clocksOf(control, answering(first))
  const findings = clusterChecks(first, { ...around, clocks })
  const settles = ({ check, level }: Finding): boolean =>
    level !== 'ok' && ['tables', 'leaders', 'replicas'].includes(check)
  if (!findings.some(settles)) return findings
  // What was passing is gone at a second look.
  await sleep(convergeMs)
  return clusterChecks(await control.sample(), { ...around, clocks })
}

/** One after the other, so that one answer does not wait for another. */
async function clocksOf(
  control: ClusterControl,
  ids: ReadonlySet<string>
): Promise<ClockReading[]> {
  const clocks: ClockReading[] = []
  for (const id of ids) {
    const sentMs = Date.now()
    const wallMs = await control
      .node(id)
      .status()
      .then(
        status => status.wallMs,
        () => 0
      )
    const uncertainMs = (Date.now() - sentMs) / 2
    if (wallMs > 0) clocks.push({ id, aheadMs: wallMs - sentMs - uncertainMs, uncertainMs })
  }
  return clocks
}
