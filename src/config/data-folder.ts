import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

/** The data folder of commands that are not told another. */
export const defaultDataDirectory = '.ringset'

/** Where things are in a data folder. Every process of `up` shares one; a node run by itself has its own. */
export interface DataFolder {
  readonly root: string
  /** Shared secret of the cluster: proves nodes to each other and signs connect tokens. */
  readonly secretFile: string
  /** Lets the command line in at the control ports. */
  readonly credentialFile: string
  /** The configuration that the processes of `up` run with. */
  readonly configFile: string
  /** Which processes `up` started. */
  readonly clusterFile: string
  /** Held while processes are started or stopped. */
  readonly lockFile: string
  /** Held while the nodes are restarted one after the other, or a drill hurts them. */
  readonly rollLockFile: string
  /** The name of a set that `set add` has chosen and not brought to its end. */
  readonly setAddFile: string
  /** The folder of cursor files and device names of command line clients. */
  readonly clientsFolder: string
  /** Where the nodes' own folders are, those of nodes that are gone included. */
  readonly nodesFolder: string
  /** A node's own folder: database and log. */
  nodeFolder(nodeId: string): string
  nodeLogFile(nodeId: string): string
}

/** Paths only; creates nothing. */
export function dataFolder(directory: string): DataFolder {
  const root = realPath(resolve(directory))
  const nodesFolder = join(root, 'nodes')
  const nodeFolder = (nodeId: string) => join(nodesFolder, nodeId)
  return {
    root,
    secretFile: join(root, 'secret'),
    credentialFile: join(root, 'credential'),
    configFile: join(root, 'config.yaml'),
    clusterFile: join(root, 'cluster.json'),
    lockFile: join(root, 'launch.lock'),
    rollLockFile: join(root, 'roll.lock'),
    setAddFile: join(root, 'set-add'),
    clientsFolder: join(root, 'clients'),
    nodesFolder,
    nodeFolder,
    nodeLogFile: nodeId => join(nodeFolder(nodeId), 'node.log')
  }
}

/** By whatever links it is reached, a folder is one; it need not be there yet. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const above = dirname(path)
    return above === path ? path : join(realPath(above), basename(path))
  }
}
