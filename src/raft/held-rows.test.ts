import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HeldRows, type RowsWrite } from './held-rows.ts'

const keys = ['a', 'b', 'c']

/** What the store has, and a machine over it: one live row, rows that come and go, rows that never change. */
class Bench {
  readonly stored = new Map<string, Buffer>()
  storedApplied = 0
  nowMs = 0
  applied = 0
  encodings = 0
  readonly #live = new Map<string, string>()
  #held = this.#start()

  get held(): HeldRows {
    return this.#held
  }

  #start(): HeldRows {
    const store = { getState: (key: string) => this.stored.get(key) }
    return new HeldRows(store as never, this.nowMs, this.storedApplied)
  }

  /** The row as its owner knows it; undefined deletes it. */
  live(key: string, value: string | undefined): void {
    if (value === undefined) this.#live.delete(key)
    else this.#live.set(key, value)
    this.held.put(key, {
      encode: () => {
        this.encodings++
        const text = this.#live.get(key)
        return text === undefined ? undefined : Buffer.from(text)
      }
    })
  }

  write(all = false): RowsWrite | undefined {
    const write = this.held.due(this.nowMs, this.applied, all)
    for (const [key, value] of write?.added ?? []) this.stored.set(key, value)
    for (const [key, value] of write?.rows ?? []) {
      if (value === undefined) this.stored.delete(key)
      else this.stored.set(key, value)
    }
    this.storedApplied = write?.applied ?? this.storedApplied
    return write
  }

  /** Memory is gone. @returns the last entry that the rows stand for. */
  crash(): number {
    this.#live.clear()
    this.#held = this.#start()
    this.applied = this.storedApplied
    return this.applied
  }

  text(key: string): string | undefined {
    return this.held.get(key)?.toString()
  }
}

describe('rows that are held', () => {
  it('that change are encoded once for many entries, when they are written or read', () => {
    const bench = new Bench()
    for (bench.applied = 1; bench.applied <= 100; bench.applied++) {
      bench.live('busy', `${bench.applied}`)
      expect(bench.write()).toBeUndefined()
    }
    expect(bench.encodings).toBe(0)
    expect(bench.text('busy')).toBe('100')
    bench.nowMs = 500
    expect(bench.write()).toMatchObject({ applied: 101 })
    expect(bench.encodings).toBe(2)
    expect(bench.stored.get('busy')?.toString()).toBe('100')
    expect(bench.text('busy')).toBe('100')
  })

  it('that never change are written soon, without the index', () => {
    const bench = new Bench()
    bench.applied = 1
    bench.held.add('message', Buffer.from('m'))
    bench.held.put('row', Buffer.from('r'))
    bench.nowMs = 50
    expect([...bench.write()!.added!.keys()]).toEqual(['message'])
    expect(bench.storedApplied).toBe(0)
    expect(bench.write()).toBeUndefined()
    bench.nowMs = 500
    expect(bench.write()).toMatchObject({ applied: 1 })
    expect(bench.stored.get('row')?.toString()).toBe('r')
  })

  it('are written before there are too many, and with whatever cannot wait', () => {
    const bench = new Bench()
    bench.applied = 1
    for (let i = 0; i < 1_000; i++) bench.held.add(`m${i}`, Buffer.from('m'))
    expect(bench.write()?.applied).toBeUndefined()
    expect(bench.stored.size).toBe(1_000)
    for (let i = 0; i < 1_024; i++) bench.held.put(`r${i}`, Buffer.from('r'))
    expect(bench.write()).toMatchObject({ applied: 1 })
    expect(bench.write()).toBeUndefined()
    expect(bench.write(true)).toMatchObject({ applied: 1 })
  })

  it('entries that changed none wait for the next that does', () => {
    const bench = new Bench()
    bench.applied = 999
    bench.nowMs = 10_000
    expect(bench.write()).toBeUndefined()
    bench.applied = 1_000
    expect(bench.write()).toMatchObject({ applied: 1_000 })
  })

  it('read and survive crashes like rows that are written at once', () => {
    const step = fc.oneof(
      fc.record({ op: fc.constant('put' as const), key: fc.constantFrom(...keys) }),
      fc.record({ op: fc.constant('delete' as const), key: fc.constantFrom(...keys) }),
      fc.record({ op: fc.constant('add' as const), at: fc.nat(3) }),
      fc.record({ op: fc.constant('drop' as const), at: fc.nat(3) })
    )
    const event = fc.oneof(
      { weight: 6, arbitrary: step },
      { weight: 2, arbitrary: fc.record({ op: fc.constant('write' as const), ms: fc.nat(700) }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('crash' as const) }) }
    )
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), events => {
        const bench = new Bench()
        const log: ((rows: Bench, model: Map<string, string>) => void)[] = []
        let model = new Map<string, string>()
        const check = (): void => {
          for (const key of [...keys, 'm0', 'm1', 'm2', 'm3']) {
            expect(bench.text(key)).toBe(model.get(key))
          }
        }
        const apply = (): void => {
          log[bench.applied]!(bench, model)
          bench.applied++
        }
        for (const event of events) {
          if (event.op === 'write') {
            bench.nowMs += event.ms
            bench.write()
          } else if (event.op === 'crash') {
            const from = bench.crash()
            model = new Map()
            const known = new Bench()
            for (const entry of log.slice(0, from)) entry(known, model)
            while (bench.applied < log.length) apply()
          } else {
            log.push(entryOf(event, log.length))
            apply()
          }
          check()
        }
      })
    )
  })
})

type Step =
  | { readonly op: 'put'; readonly key: string }
  | { readonly op: 'delete'; readonly key: string }
  | { readonly op: 'add'; readonly at: number }
  | { readonly op: 'drop'; readonly at: number }

/** An entry: what it does to the rows, and to a map that shows at once. */
function entryOf(step: Step, index: number) {
  return (bench: Bench, model: Map<string, string>): void => {
    if (step.op === 'put' || step.op === 'delete') {
      const value = step.op === 'put' ? `v${index}` : undefined
      bench.live(step.key, value)
      if (value === undefined) model.delete(step.key)
      else model.set(step.key, value)
    } else if (step.op === 'add') {
      // It never changes while it is there: a second one comes only after the first was deleted.
      if (model.has(`m${step.at}`)) return
      bench.held.add(`m${step.at}`, Buffer.from(`m${index}`))
      model.set(`m${step.at}`, `m${index}`)
    } else {
      bench.held.delete(`m${step.at}`)
      model.delete(`m${step.at}`)
    }
  }
}
