import type { Adoption, TableKeeper } from '../../src/table/table-keeper.ts'
import type { TableView } from '../../src/table/table-view.ts'

/** The bytes of a table that `FakeTableKeeper` understands: tag, epoch, and any content. */
export function fakeTable(epoch: number, content = '', clusterTag = 7): Buffer {
  const bytes = Buffer.alloc(6 + Buffer.byteLength(content))
  bytes.writeUInt16BE(clusterTag, 0)
  bytes.writeUInt32BE(epoch, 2)
  bytes.write(content, 6)
  return bytes
}

/** A table keeper for tests of links, which only look at epoch, tag and bytes. Records every adoption that was tried. */
export class FakeTableKeeper implements TableKeeper {
  readonly adoptions: Adoption[] = []
  readonly #listeners: ((view: TableView) => void)[] = []
  #view: TableView

  constructor(encoded: Buffer = Buffer.alloc(0)) {
    this.#view = viewOf(encoded)
  }

  view(): TableView {
    return this.#view
  }

  updateFrom(): Buffer {
    return this.#view.encoded
  }

  adopt(encoded: Buffer): Adoption {
    const adoption = this.#judge(encoded)
    this.adoptions.push(adoption)
    if (adoption === 'adopted') {
      this.#view = viewOf(encoded)
      for (const listener of this.#listeners) listener(this.#view)
    }
    return adoption
  }

  #judge(encoded: Buffer): Adoption {
    if (encoded.length < 6) return 'malformed'
    const own = this.#view
    const { epoch, clusterTag } = viewOf(encoded)
    if (own.clusterTag !== 0 && own.clusterTag !== clusterTag) return 'foreign'
    if (epoch > own.epoch) return 'adopted'
    if (epoch < own.epoch) return 'older'
    return encoded.equals(own.encoded) ? 'same' : 'conflict'
  }

  onAdopted(listener: (view: TableView) => void): void {
    this.#listeners.push(listener)
  }
}

function viewOf(encoded: Buffer): TableView {
  const known = encoded.length >= 6
  return {
    table: undefined,
    epoch: known ? encoded.readUInt32BE(2) : 0,
    clusterTag: known ? encoded.readUInt16BE(0) : 0,
    contentHash: 0,
    slotOf: () => 0,
    owner: () => undefined,
    set: () => undefined,
    move: () => undefined,
    encoded
  }
}
