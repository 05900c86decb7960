import type { Command } from 'commander'
import { openCluster } from '../../src/launch/launch.ts'
import { exitCodes } from '../failure.ts'
import { type DataOptions, type JsonOptions, withData, withExample, withJson } from '../options.ts'
import { stopText } from '../stop-text.ts'
import { print, printJson } from '../terminal.ts'

export function configureDown(command: Command): void {
  withExample(withJson(withData(command)), 'ringset down')
  command.action((options: DataOptions & JsonOptions) => down(options))
}

async function down({ data, json }: DataOptions & JsonOptions): Promise<void> {
  const cluster = openCluster(data)
  try {
    const stopped = await cluster.stopAll({
      onStopped: report => {
        if (!json) print(stopText(report))
      }
    })
    if (stopped.some(({ how }) => how === 'stuck')) process.exitCode = exitCodes.refused
    if (json) printJson({ cluster: cluster.config.cluster.name, stopped })
  } finally {
    cluster.close()
  }
}
