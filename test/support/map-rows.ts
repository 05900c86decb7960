import type { LiveRow, Rows } from '../../src/raft/state-machine.ts'

/** Rows of a state machine in memory. */
export class MapRows implements Rows {
  readonly map: Map<string, Buffer>
  puts = 0

  constructor(map = new Map<string, Buffer>()) {
    this.map = map
  }

  get(key: string): Buffer | undefined {
    return this.map.get(key)
  }

  put(key: string, value: Buffer | LiveRow): void {
    this.puts++
    const bytes = Buffer.isBuffer(value) ? value : value.encode()
    if (bytes === undefined) this.map.delete(key)
    else this.map.set(key, bytes)
  }

  add(key: string, value: Buffer): void {
    this.puts++
    this.map.set(key, value)
  }

  delete(key: string): void {
    this.map.delete(key)
  }

  /** All rows as comparable text, sorted by key. */
  dump(): string[] {
    return [...this.map].map(([key, value]) => `${key} = ${value.toString('hex')}`).sort()
  }

  copy(): MapRows {
    return new MapRows(new Map(this.map))
  }
}
