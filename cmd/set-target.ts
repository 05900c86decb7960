import { rmSync } from 'node:fs'
import { RingsetError } from '../src/base/errors.ts'
import { hostPort } from '../src/base/host-port.ts'
import { loadConfig } from '../src/config/config.ts'
import { dataFolder } from '../src/config/data-folder.ts'
import type { ClusterConfig } from '../src/config/schema.ts'
import { readHexFile } from '../src/config/secrets.ts'
import { ClusterControl } from '../src/control/cluster-control.ts'
import { openCluster } from '../src/launch/launch.ts'
import { tryLock } from '../src/launch/launch-lock.ts'
import type { RunningCluster } from '../src/launch/running-cluster.ts'
import type { DataOptions } from './options.ts'

export interface SetTargetOptions extends DataOptions {
  readonly config?: string
  readonly credential?: string
}

/** A cluster whose sets are changed. */
export interface SetTarget {
  readonly control: ClusterControl
  /** With `-c` that file, else the one in the data folder, as it is now. */
  config(): ClusterConfig
  /** When its nodes were started by `up`. */
  readonly local: RunningCluster | undefined
}

/** Runs `work` while nobody else changes the cluster from this data folder. Throws NOT_RUNNING, ALREADY_RUNNING, CONFIG_INVALID. */
export async function withSetTarget<T>(
  options: SetTargetOptions,
  work: (target: SetTarget) => Promise<T>
): Promise<T> {
  const folder = dataFolder(options.data)
  if (options.config !== undefined) {
    const config = loadConfig(options.config)
    const credential = readHexFile(options.credential ?? folder.credentialFile)
    const nodes = config.nodes.map(({ id, host, controlPort }) => {
      return { id, controlAddress: hostPort(host, controlPort) }
    })
    const control = new ClusterControl({ nodes, credential })
    try {
      return await work({ control, config: () => config, local: undefined })
    } finally {
      control.close()
    }
  }
  const local = openCluster(options.data)
  // A lock that a dead process left behind is cleared by the first try.
  if (!tryLock(folder.rollLockFile) && !tryLock(folder.rollLockFile)) {
    local.close()
    throw new RingsetError('ALREADY_RUNNING', 'another `ringset roll` or `ringset set` is at work')
  }
  try {
    return await work({ control: local.control, config: () => local.config, local })
  } finally {
    rmSync(folder.rollLockFile, { force: true })
    local.close()
  }
}
