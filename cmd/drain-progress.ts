import type { DrainProgress } from '../src/control/transfer-operator.ts'

export function drainProgressText({ left, total, held }: DrainProgress): string {
  const why = held ? ', waiting: no other gateway of the set takes clients' : ''
  return `${left} of ${total} connections left${why}`
}
