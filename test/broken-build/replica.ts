import { ArbiterMachine } from '../../src/arbiter/arbiter-machine.ts'
import { createReplica as createWhole } from '../../src/raft/replica.ts'
import type { ReplicaApi } from '../../src/raft/replica-api.ts'
import type { ReplicaOptions } from '../../src/raft/replica-options.ts'
import { withCore } from '../../src/sim/mutants/core-of.ts'
import { arbiterGroup } from '../../src/sim/topology.ts'
import { siteOf, tampering } from './tampering.ts'

/** In place of the one that nodes are built with. */
export function createReplica(options: ReplicaOptions): ReplicaApi {
  const { machine, store, config } = options
  const site = siteOf(machine instanceof ArbiterMachine ? arbiterGroup : 'router', config.id)
  const broken: ReplicaOptions = {
    ...options,
    machine: tampering.machine?.(machine, site) ?? machine,
    store: tampering.store?.(store, site) ?? store
  }
  const { made, core } = withCore(() => createWhole(broken))
  tampering.core?.(core, site)
  return tampering.replica?.(made, site) ?? made
}
