import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parseHistory } from '../check/history.ts'
import { HistoryRecorder } from './history-recorder.ts'
import { SpillFile } from './spill-file.ts'

describe('a recorded history', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringset-history-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const places = [
    ['memory', () => undefined],
    ['a file', () => SpillFile.open(folder)],
    ['a file that fills up', () => fullAfter(2)]
  ] as const
  const cases = places.flatMap(([place, open]) =>
    [1, 2, 3, 7, 8].map(linesToPiece => ({ place, open, linesToPiece }))
  )

  it.each(cases)('is written whole from $place in pieces of $linesToPiece lines', one => {
    const { linesToPiece, open } = one
    const spill = open()
    const history = new HistoryRecorder({ linesToPiece, spill })
    for (let i = 0; i < 7; i++) history.add('n1', 'ok', 'epoch', null, { epoch: i })
    const file = join(folder, 'history.jsonl')
    history.writeTo(file)
    const found = [...parseHistory([readFileSync(file)])]
    expect(found.map(({ value }) => value)).toEqual([0, 1, 2, 3, 4, 5, 6].map(epoch => ({ epoch })))
    expect(history.judge().lines).toBe(7)
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(8)
    history.close()
    expect(readdirSync(folder)).toEqual(['history.jsonl'])
  })

  it('takes faults of any length and kind, and one line that cannot be written for one', () => {
    const history = new HistoryRecorder({ linesToPiece: 2 })
    history.fault(`${'x'.repeat(5_000)}\n`)
    history.fault('two')
    expect(() => {
      history.add('n1', 'ok', 'no\nname', null, null)
      history.add('n1', 'ok', 'epoch', null, { epoch: 1 })
    }).toThrow()
    history.add('n1', 'ok', 'epoch', null, { epoch: 2 })
    expect(history.judge().lines).toBe(3)
  })

  it('is taken down after its end, too, but not judged', () => {
    const history = new HistoryRecorder({ linesToPiece: 1, spill: SpillFile.open(folder) })
    history.fault('one')
    history.close()
    history.fault('two')
    expect(() => history.judge()).toThrow('closed')
  })
})

/** Takes that many pieces, and then no more. */
function fullAfter(pieces: number): SpillFile {
  const spill = SpillFile.open()!
  const append = spill.append.bind(spill)
  let left = pieces
  spill.append = bytes => (left-- > 0 ? append(bytes) : undefined)
  return spill
}
