import { describe, expect, it } from 'vitest'
import { ReadQueue } from './read-queue.ts'

function queueWith(count: number): { queue: ReadQueue; answers: string[] } {
  const queue = new ReadQueue()
  const answers: string[] = []
  for (let i = 0; i < count; i++) queue.add(confirmed => answers.push(`${i} ${confirmed}`))
  return { queue, answers }
}

describe('ReadQueue', () => {
  it('asks once for everything gathered, and not at all for nothing', () => {
    const { queue } = queueWith(3)
    const tokens: number[] = []
    const ask = (token: number): boolean => {
      tokens.push(token)
      return true
    }
    queue.ask(ask)
    queue.ask(ask)
    expect(tokens).toHaveLength(1)
  })

  it('holds confirmed reads back until the rows have caught up', () => {
    const { queue, answers } = queueWith(2)
    let token = 0
    queue.ask(asked => {
      token = asked
      return true
    })
    queue.confirm(token, 7, 5)
    queue.release(6)
    expect(answers).toEqual([])
    queue.release(7)
    queue.release(8)
    expect(answers).toEqual(['0 true', '1 true'])
  })

  it('answers at once when the rows are new enough, and a token only once', () => {
    const { queue, answers } = queueWith(1)
    queue.ask(() => true)
    queue.confirm(1, 7, 7)
    queue.confirm(1, 7, 7)
    queue.drop(1)
    queue.dropAll()
    expect(answers).toEqual(['0 true'])
  })

  it('answers no when the core refuses or drops the round, or leadership is lost', () => {
    const refused = queueWith(1)
    refused.queue.ask(() => false)
    expect(refused.answers).toEqual(['0 false'])
    const dropped = queueWith(1)
    dropped.queue.ask(() => true)
    dropped.queue.drop(1)
    expect(dropped.answers).toEqual(['0 false'])
    const waiting = queueWith(1)
    waiting.queue.ask(() => true)
    waiting.queue.confirm(1, 7, 5)
    waiting.queue.dropAll()
    waiting.queue.release(9)
    expect(waiting.answers).toEqual(['0 false'])
  })
})
