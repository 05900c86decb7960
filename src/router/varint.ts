/** Bytes of the longest varint: 53 bits, 7 a byte. */
export const varintBytesMax = 8

/** Bytes that `value` takes as a varint. */
export function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++
  return bytes
}

/** Writes `value` as ByteWriter does, where there is room for it; returns where it ends. */
export function putVarint(target: Uint8Array, start: number, value: number): number {
  let at = start
  let rest = value
  while (rest >= 0x80) {
    target[at++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  target[at++] = rest
  return at
}
