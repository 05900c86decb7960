/**
 * A 53-bit hash of a table's canonical bytes: two multiplicative lanes (the scheme of FNV-1a,
 * Fowler, Noll and Vo, with two multipliers), each finished with MurmurHash3's mixer (Appleby) and
 * crossed. It tells apart contents that differ by accident; it is no defence against forgery. Two
 * CRC-32 with different seeds would not do: they agree whenever one of them does.
 */
export function contentHash(bytes: Uint8Array): number {
  let a = 0x811c9dc5
  let b = 0x9e3779b9
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!
    a = Math.imul(a ^ byte, 0x01000193)
    b = Math.imul(b ^ byte, 0x5bd1e995)
    b ^= b >>> 15
  }
  const high = mix(a ^ bytes.length) ^ Math.imul(mix(b), 3)
  const low = mix(b ^ high)
  return (high & 0x1fffff) * 0x1_0000_0000 + (low >>> 0)
}

function mix(value: number): number {
  let x = value
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}
