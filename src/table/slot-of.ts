import { crc32OfString } from '../base/crc32.ts'

/** Slot of a uid or of a group or room id. @param slotCount a power of two. */
export function slotOfKey(key: string, slotCount: number): number {
  return crc32OfString(key) & (slotCount - 1)
}
