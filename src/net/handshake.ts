import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { ByteWriter } from '../base/bytes.ts'
import { kinds, type PayloadOf } from '../protocol/kinds.ts'

export const nonceBytes = 32
const noMac = Buffer.alloc(0)

/** 32 bytes nobody can foresee; not from the seeded Random, which is not for secrets. */
export function makeNonce(): Buffer {
  return randomBytes(nonceBytes)
}

/**
 * The credential of logic clients: made from the cluster secret, but of no use for joining as a node. A logic client may present
 * this or the cluster secret itself.
 */
export function logicClientSecret(clusterSecret: Buffer): Buffer {
  return createHmac('sha256', clusterSecret).update('ringset logic client').digest()
}

/** HMAC-SHA256 by the dialer over the acceptor's nonce and all of HELLO but the mac. */
export function helloMac(secret: Buffer, nonce: Buffer, hello: PayloadOf<'HELLO'>): Buffer {
  const writer = new ByteWriter(1_024)
  writer.string('ringset hello')
  writer.bytes(nonce)
  kinds.HELLO.payload.write(writer, { ...hello, mac: noMac })
  return createHmac('sha256', secret).update(writer.finish()).digest()
}

/** HMAC-SHA256 by the acceptor over both nonces and all of WELCOME but the mac. */
export function welcomeMac(
  secret: Buffer,
  nonce: Buffer,
  dialerNonce: Buffer,
  welcome: PayloadOf<'WELCOME'>
): Buffer {
  const writer = new ByteWriter(1_024)
  writer.string('ringset welcome')
  writer.bytes(nonce)
  writer.bytes(dialerNonce)
  kinds.WELCOME.payload.write(writer, { ...welcome, mac: noMac })
  return createHmac('sha256', secret).update(writer.finish()).digest()
}

export function macsEqual(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
