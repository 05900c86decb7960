const table = new Uint32Array(256)
for (let i = 0; i < 256; i++) {
  let c = i
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1
  table[i] = c >>> 0
}

/** CRC-32 (IEEE 802.3), as in zlib; for short inputs such as uids and table hashes. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  let c = ~seed >>> 0
  for (let i = 0; i < bytes.length; i++) c = table[(c ^ bytes[i]!) & 0xff]! ^ (c >>> 8)
  return ~c >>> 0
}

/** CRC-32 of a string's UTF-8 bytes. */
export function crc32OfString(text: string): number {
  let c = ~0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return crc32(Buffer.from(text, 'utf8'))
    c = table[(c ^ code) & 0xff]! ^ (c >>> 8)
  }
  return ~c >>> 0
}
