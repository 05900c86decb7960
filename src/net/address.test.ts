import { describe, expect, it } from 'vitest'
import { hostPort } from '../base/host-port.ts'
import { parseAddress } from './address.ts'

describe('an address', () => {
  it.each(['localhost', '127.0.0.1', '::1', 'fe80::1', '2001:db8::2'])('of %s is read', host => {
    expect(parseAddress(hostPort(host, 7101))).toEqual({ host, port: 7101 })
    expect(parseAddress(`tcp://${hostPort(host, 65_535)}`)).toEqual({ host, port: 65_535 })
  })

  it.each(['', 'host', 'host:', ':7101', '::1:7101', 'host:0', 'host:65536', 'a b:1', 'udp://a:1'])(
    '%j is none',
    text => {
      expect(() => parseAddress(text)).toThrow('an address must be host:port')
    }
  )
})
