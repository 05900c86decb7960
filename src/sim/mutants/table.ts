import { ArbiterMachine, tableRow } from '../../arbiter/arbiter-machine.ts'
import type { ReplicaApi } from '../../raft/replica-api.ts'
import { createTableKeeper } from '../../table/create-table-keeper.ts'
import { decodeTable, encodeTable, peekTable } from '../../table/table-codec.ts'
import { isDelta } from '../../table/table-delta.ts'
import type { TableKeeper } from '../../table/table-keeper.ts'
import type { TableView } from '../../table/table-view.ts'
import type { SimProcess } from '../sim-process.ts'
import { type Mutant, type Tampering, withMethods } from './mutant.ts'

export const tableMutants: readonly Mutant[] = [
  {
    name: 'epoch-back',
    breaks: 'A process takes over an older routing table than its own.',
    noticedBy: ['epochs'],
    world: {
      carry: 'always',
      tiny: false,
      faults: [
        { kind: 'crash', everyMs: 1_000 },
        { kind: 'cutOneWay', everyMs: 500 },
        { kind: 'isolate', everyMs: 1_000 }
      ]
    },
    tamper: () => ({ keeper: takesOlder })
  },
  {
    name: 'epoch-reused',
    breaks: 'The arbiters give two routing tables in a row the same epoch.',
    noticedBy: ['epochs', 'liveness'],
    world: { faults: [{ kind: 'crash', everyMs: 1_000 }], tiny: false },
    tamper: reusesEpochs
  }
]

/** Who publishes a table reads its row; the machine itself goes on counting. */
function reusesEpochs(): Tampering {
  const replicas = new Map<SimProcess, ReplicaApi>()
  return {
    replica: (replica, { group, process }) => {
      if (group !== 'arbiter') return replica
      replicas.set(process, replica)
      return withMethods(replica, {
        getRow: key => {
          const row = replica.getRow(key)
          return key === tableRow && row !== undefined ? withHalfEpoch(row) : row
        }
      })
    },
    machine: (machine, { process }) => {
      if (!(machine instanceof ArbiterMachine)) return machine
      const { table } = machine
      machine.table = getRow =>
        table.call(machine, key => replicas.get(process)?.getRow(key) ?? getRow(key))
      return machine
    }
  }
}

function withHalfEpoch(encoded: Buffer): Buffer {
  const table = decodeTable(encoded)
  return encodeTable({ ...table, epoch: Math.ceil(table.epoch / 2) })
}

function takesOlder(keeper: TableKeeper): TableKeeper {
  const listeners: ((view: TableView) => void)[] = []
  const tell = (view: TableView): void => {
    for (const listener of listeners) listener(view)
  }
  let current = keeper
  current.onAdopted(tell)
  return {
    view: () => current.view(),
    onAdopted: listener => listeners.push(listener),
    updateFrom: epoch => current.updateFrom(epoch),
    adopt: encoded => {
      if (isDelta(encoded)) return current.adopt(encoded)
      if (peekTable(encoded).epoch < current.view().epoch) {
        current = createTableKeeper()
        current.onAdopted(tell)
      }
      return current.adopt(encoded)
    }
  }
}
