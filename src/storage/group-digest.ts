import { crc32 } from 'node:zlib'
import type { HardState } from '../raft/types.ts'
import type { GroupLog } from './group-log.ts'

interface Digested {
  readonly hardState: HardState
  readonly applied: number
  readonly generation: number
  readonly log: GroupLog
}

const fieldsBytes = 39

/** CRC-32 of a group's whereabouts: everything but the rows themselves. */
export class GroupDigest {
  readonly #input: Buffer
  readonly #fieldsAt: number

  constructor(name: string) {
    this.#input = Buffer.concat([Buffer.from(name, 'utf8'), Buffer.alloc(fieldsBytes)])
    this.#fieldsAt = this.#input.length - fieldsBytes
  }

  of(state: Digested): number {
    const { hardState, log } = state
    const input = this.#input
    const at = this.#fieldsAt
    input.writeUIntBE(hardState.term, at, 6)
    input[at + 6] = hardState.vote
    input.writeUIntBE(hardState.commit, at + 7, 6)
    input.writeUIntBE(state.applied, at + 13, 6)
    input.writeUInt32BE(state.generation, at + 19)
    input.writeUIntBE(log.start.index, at + 23, 6)
    input.writeUIntBE(log.lastIndex(), at + 29, 6)
    input.writeUInt32BE(log.chain, at + 35)
    return crc32(input)
  }
}
