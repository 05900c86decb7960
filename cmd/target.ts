import { dataFolder } from '../src/config/data-folder.ts'
import { readHexFile } from '../src/config/secrets.ts'
import { ClusterControl } from '../src/control/cluster-control.ts'
import { openCluster } from '../src/launch/launch.ts'
import type { TargetOptions } from './options.ts'

/** The running cluster that a command is about, as its options name it. Throws NOT_RUNNING, UNREACHABLE, UNAUTHENTICATED. */
export async function openTarget(options: TargetOptions): Promise<ClusterControl> {
  if (options.connect === undefined) return openCluster(options.data).control
  const file = options.credential ?? dataFolder(options.data).credentialFile
  return ClusterControl.discover(options.connect, readHexFile(file))
}

/** Runs `work` with the target and closes its connections afterwards. */
export async function withControl<T>(
  options: TargetOptions,
  work: (control: ClusterControl) => Promise<T>
): Promise<T> {
  const control = await openTarget(options)
  try {
    return await work(control)
  } finally {
    control.close()
  }
}
