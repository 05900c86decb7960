import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of package.json, whether the program runs from the sources or from dist. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}

/** The example that `up` starts when no configuration is named. */
export function defaultConfigPath(): string {
  return join(packageRoot(), 'cluster-configs', 'local.yaml')
}
