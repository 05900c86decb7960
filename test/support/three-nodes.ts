import { parseConfig } from '../../src/config/config.ts'

/** A set on the nodes n1, n2 and n3, each with all roles. */
export const threeNodes = parseConfig({
  cluster: { name: 'test' },
  sets: [{ id: 's1' }],
  nodes: [1, 2, 3].map(replica => ({
    id: `n${replica}`,
    peerPort: 7_000 + replica,
    controlPort: 7_050 + replica,
    roles: [
      { role: 'router', set: 's1', replica },
      { role: 'arbiter', replica },
      { role: 'transfer', id: `t${replica}`, set: 's1', tcpPort: 7_090 + replica },
      { role: 'logic', id: `l${replica}`, set: 's1' }
    ]
  }))
})
