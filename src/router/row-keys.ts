/** What stands before the rows that belong to the whole group and never leave with a slot. */
export const groupPrefix = 'group'

const slotPrefixes: string[] = []

/** Four hex digits: every row of a slot begins with them, so that one key range holds all that leaves with the slot. */
export function slotPrefix(slot: number): string {
  const known = slotPrefixes[slot]
  if (known !== undefined) return known
  const prefix = slot.toString(16).padStart(4, '0')
  slotPrefixes[slot] = prefix
  return prefix
}

/** Text of a number that sorts as the number does: a letter for the count of digits, then the digits. */
export function sortable(value: number): string {
  const digits = `${value}`
  return String.fromCharCode(96 + digits.length) + digits
}
