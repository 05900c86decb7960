import { afterAll, beforeAll } from 'vitest'
import { wholeClusterConfig } from '../../src/launch/whole-cluster.ts'
import { CommandLine } from './command-line.ts'
import { TestCluster } from './test-cluster.ts'

/** What the tests of a describe block share. */
export interface OneSet {
  readonly cluster: TestCluster
  readonly ringset: CommandLine
}

/** Starts a cluster of one whole set before the tests of the describe block, and stops it after them. */
export function withOneSet(): OneSet {
  let cluster: TestCluster | undefined
  let ringset: CommandLine | undefined
  beforeAll(async () => {
    const { sets, nodes } = await wholeClusterConfig(['s1'])
    cluster = await TestCluster.start({ sets, nodes })
    ringset = new CommandLine(cluster.directory, cluster.directory)
  })
  afterAll(async () => {
    ringset?.close()
    await cluster?.close()
  })
  return {
    get cluster() {
      return cluster!
    },
    get ringset() {
      return ringset!
    }
  }
}
