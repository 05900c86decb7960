import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parseHistory } from '../check/history.ts'
import { HistoryRecorder } from './history-recorder.ts'

describe('a recorded history', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringset-history-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.each([1, 2, 3, 7, 8])('is written whole in pieces of %i lines', piece => {
    const history = new HistoryRecorder(piece)
    for (let i = 0; i < 7; i++) history.add('n1', 'ok', 'epoch', null, { epoch: i })
    const file = join(folder, 'history.jsonl')
    history.writeTo(file)
    const found = [...parseHistory([readFileSync(file)])]
    expect(found.map(({ value }) => value)).toEqual([0, 1, 2, 3, 4, 5, 6].map(epoch => ({ epoch })))
    expect(history.judge().lines).toBe(7)
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(8)
  })
})
