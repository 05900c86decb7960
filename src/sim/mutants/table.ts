import { ArbiterMachine, tableRow } from '../../arbiter/arbiter-machine.ts'
import type { ReplicaApi } from '../../raft/replica-api.ts'
import { createTableKeeper } from '../../table/create-table-keeper.ts'
import { decodeTable, encodeTable, peekTable } from '../../table/table-codec.ts'
import { isDelta, peekDelta } from '../../table/table-delta.ts'
import type { TableKeeper } from '../../table/table-keeper.ts'
import type { TableView } from '../../table/table-view.ts'
import type { SimProcess } from '../sim-process.ts'
import { arbiterGroup } from '../topology.ts'
import type { World } from '../world.ts'
import { type Mutant, type Tampering, withMethods } from './mutant.ts'

export const tableMutants: readonly Mutant[] = [
  {
    name: 'epoch-by-proposer',
    breaks: 'The epoch of a table is what its proposer counted, not what the log says (E-1).',
    noticedBy: ['epochs', 'liveness', 'state-machine'],
    world: {
      faults: [
        { kind: 'storm', everyMs: 500 },
        { kind: 'moveSlots', everyMs: 100 }
      ],
      tiny: false
    },
    tamper: countsBeforehand
  },
  {
    name: 'epoch-back',
    breaks: 'A process takes over an older routing table than its own (E-2).',
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
    breaks: 'The arbiters give two routing tables in a row the same epoch (E-3).',
    noticedBy: ['epochs', 'liveness'],
    world: { faults: [{ kind: 'crash', everyMs: 1_000 }], tiny: false },
    tamper: reusesEpochs
  },
  {
    name: 'late-tables-lost',
    breaks: 'A table counts only while it is fresh: whoever misses the push never gets it (E-7).',
    noticedBy: ['liveness'],
    world: {
      faults: [
        { kind: 'isolate', everyMs: 500 },
        { kind: 'moveSlots', everyMs: 100 }
      ]
    },
    tamper: refusesLate
  },
  {
    name: 'adopted-unheard',
    breaks: 'A process adopts tables, and its roles are not told of every third one (E-8).',
    noticedBy: ['liveness', 'presence', 'copies', 'loss'],
    world: { faults: [{ kind: 'moveSlots', everyMs: 100 }], tiny: false },
    tamper: () => ({ keeper: tellsSeldom })
  }
]

const freshMs = 30

function refusesLate(world: World): Tampering {
  const madeMs = new Map<number, number>()
  return {
    keeper: keeper =>
      withMethods(keeper, {
        adopt: encoded => {
          const { epoch } = isDelta(encoded) ? peekDelta(encoded) : peekTable(encoded)
          const nowMs = world.kernel.nowMs()
          const first = madeMs.get(epoch) ?? nowMs
          madeMs.set(epoch, first)
          return nowMs - first > freshMs ? 'same' : keeper.adopt(encoded)
        }
      })
  }
}

function tellsSeldom(keeper: TableKeeper): TableKeeper {
  return withMethods(keeper, {
    onAdopted: listener =>
      keeper.onAdopted(view => {
        if (view.epoch % 3 !== 0) listener(view)
      })
  })
}

/** Whoever proposes an entry says which epoch it makes: one above the table that it has. */
function countsBeforehand(): Tampering {
  const said = new Map<string, number>()
  return {
    replica: (replica, { group }) => {
      if (group !== arbiterGroup) return replica
      return withMethods(replica, {
        propose: (data, done) => {
          const row = replica.getRow(tableRow)
          if (row !== undefined) said.set(data.toString('latin1'), decodeTable(row).epoch + 1)
          return replica.propose(data, done)
        }
      })
    },
    machine: machine => {
      if (!(machine instanceof ArbiterMachine)) return machine
      const { apply } = machine
      machine.apply = (index, data, rows) =>
        apply.call(machine, index, data, {
          get: key => rows.get(key),
          add: (key, value) => rows.add(key, value),
          delete: key => rows.delete(key),
          put: (key, value) => {
            const epoch = said.get(data.toString('latin1'))
            const counted = key === tableRow && epoch !== undefined && Buffer.isBuffer(value)
            rows.put(key, counted ? encodeTable({ ...decodeTable(value), epoch }) : value)
          }
        })
      return machine
    }
  }
}

/** Who publishes a table reads its row; the machine itself goes on counting. */
function reusesEpochs(): Tampering {
  const replicas = new Map<SimProcess, ReplicaApi>()
  return {
    replica: (replica, { group, process }) => {
      if (group !== arbiterGroup) return replica
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
