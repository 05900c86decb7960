import { InvalidArgumentError } from 'commander'
import { slotsAtOnce } from '../src/control/slot-operator.ts'

const slotMax = 65_535

/** Parses `17`, `3..20` or `1,5,9..12`: ascending, each once. Throws InvalidArgumentError. */
export function parseSlots(text: string): number[] {
  const slots = new Set<number>()
  for (const part of text.split(',')) {
    const [, first, last = first] = /^(\d{1,5})(?:\.\.(\d{1,5}))?$/.exec(part) ?? []
    const [from, to] = [Number(first), Number(last)]
    if (first === undefined || from > to || to > slotMax) {
      throw new InvalidArgumentError('It must be slots such as 17, 3..20 or 1,5,9..12.')
    }
    for (let slot = from; slot <= to && slots.size <= slotsAtOnce; slot++) slots.add(slot)
  }
  if (slots.size <= slotsAtOnce) return [...slots].sort((a, b) => a - b)
  throw new InvalidArgumentError(`It must be ${slotsAtOnce} slots at the most.`)
}

/** Ascending slots the way `parseSlots` reads them. */
export function slotsText(slots: readonly number[]): string {
  const parts: string[] = []
  for (let i = 0; i < slots.length; ) {
    const first = slots[i]!
    let last = first
    while (slots[++i] === last + 1) last++
    parts.push(first === last ? String(first) : `${first}..${last}`)
  }
  return parts.join(',')
}
