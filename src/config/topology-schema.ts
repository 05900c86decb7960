import { z } from 'zod'
import { count, id, label, port, prefix, replicaNumber, text, word, yesOrNo } from './fields.ts'

const tenant = z.strictObject({
  id: id({
    about: 'Name of a tenant, unique in the cluster: `ringset pin` and `ringset grey` take it.',
    tradeOff: 'Fixed at the first start, as all of it.'
  }),
  prefix: prefix(32, {
    about:
      'Users whose uid begins so, and no others, share slots of their own; 1 to 32 bytes, and no prefix begins with another.',
    tradeOff: 'Fixed at the first start. Users move as one tenant only if their names say so.'
  }),
  slots: z.int().min(1).max(1_024).meta({
    description:
      'How many of the slots these users have to themselves; those of all tenants must be less than half.',
    unit: 'count',
    tradeOff:
      'More spread a tenant that is not pinned over more sets, and leave fewer slots to everybody else.'
  })
})

export const cluster = z.strictObject({
  name: id({
    about: 'What people call the cluster; shown in status and logs.',
    tradeOff: 'None; processes recognise each other by the generated cluster id, not by this name.'
  }),
  slotCount: count(
    { initial: 1024, min: 16, max: 32_768 },
    {
      about:
        'Into how many slots the uids are divided; a power of two, fixed for ever at the first start.',
      tradeOff:
        'More slots move in smaller steps and balance better; fewer make the routing table smaller.'
    }
  ),
  tenants: z.array(tenant).max(64).default([]),
  carry: word(['stamp', 'always'], 'stamp', {
    about:
      'Whether a packet carries the table stamp (the table follows only when the other end is behind) or always the whole table.',
    tradeOff:
      '`always` costs the size of the table in every packet; it is for study and small clusters.'
  }),
  allowPlaintext: yesOrNo(false, {
    about:
      'Lets nodes listen on addresses other than loopback although connections are not encrypted.',
    tradeOff: 'Needed for more than one machine; only in a network that nobody else can read.'
  }),
  faultControl: yesOrNo(false, {
    about:
      'Lets whoever has the credential of the control interface disturb the links, disks and clocks of the nodes on purpose, for `ringset chaos`.',
    tradeOff:
      'Never in production: one call takes a node off the network, or ends it. Off, the call is refused.'
  })
})

export const set = z.strictObject({
  id: id({
    about: 'Name of the set, unique in the cluster.',
    tradeOff: 'Renaming a set makes it another set; its users are not moved.'
  }),
  zone: text('default', 64, {
    about: 'Failure domain the set belongs to.',
    tradeOff: 'Sets of one zone are expected to fail together.'
  }),
  weight: count(
    { initial: 1, min: 1, max: 100 },
    {
      about: 'Share of the slots the set should own, relative to the other sets.',
      tradeOff: 'A set of twice the weight gets about twice the users and needs twice the machine.'
    }
  )
})

const setOfRole = id({
  about: 'The set that the role works for.',
  tradeOff: 'None; it must be one of `sets`.'
})

const routerRole = z
  .strictObject({
    role: z.literal('router'),
    set: setOfRole,
    replica: replicaNumber({
      about:
        'Number of this replica in the router group of its set, 1 to 255, never used again for another disk.',
      tradeOff:
        'Three replicas survive the loss of one, five of two; each costs a disk and network copy.'
    }),
    join: yesOrNo(false, {
      about:
        'The set runs already: a replica that has never run waits for `ringset router add` instead of founding the group.',
      tradeOff:
        'Means nothing any more once the replica has been added. Without it an empty replica takes itself for a founder.'
    })
  })
  .meta({ description: 'A replica of the router group of a set: presence, sessions, messages.' })

const transferRole = z
  .strictObject({
    role: z.literal('transfer'),
    id: id({
      about: 'Name of the gateway, unique in the cluster.',
      tradeOff: 'None.'
    }),
    set: setOfRole,
    tcpPort: port({
      about: 'Port on which clients connect.',
      tradeOff: 'None; it must be free on the host.'
    })
  })
  .meta({ description: 'A gateway that keeps client connections.' })

const logicRole = z
  .strictObject({
    role: z.literal('logic'),
    id: id({
      about: 'Name of the logic service, unique in the cluster.',
      tradeOff: 'None.'
    }),
    set: setOfRole
  })
  .meta({ description: 'Stateless message rules between gateways and routers.' })

const arbiterRole = z
  .strictObject({
    role: z.literal('arbiter'),
    replica: replicaNumber({
      about:
        'Number of this replica in the arbiter group, 1 to 255, never used again for another disk.',
      tradeOff:
        'Three survive the loss of one; while a majority is down traffic goes on, only ownership is frozen.'
    })
  })
  .meta({ description: 'A replica of the arbiter group, which owns the routing table.' })

const role = z.discriminatedUnion('role', [routerRole, transferRole, logicRole, arbiterRole])

export const node = z.strictObject({
  id: id({
    about:
      'Name of the process, unique in the cluster; also the name of its folder under the data folder.',
    tradeOff: 'Renaming a node makes it start with an empty folder.'
  }),
  host: text('127.0.0.1', 240, {
    about: 'Address or host name the node listens on and the others reach it by.',
    tradeOff: 'Anything but loopback needs `cluster.allowPlaintext`.'
  }),
  peerPort: port({
    about: 'Port for the links between nodes and for logic clients.',
    tradeOff: 'None; it must be free on the host.'
  }),
  controlPort: port({
    about: 'Port of the control interface (gRPC) that the command line uses.',
    tradeOff: 'None; it must be free on the host.'
  }),
  zone: text('default', 64, {
    about: 'Failure domain of the machine the node runs on.',
    tradeOff: 'Replicas of one group should not share a zone when there are several.'
  }),
  version: label(32, {
    about:
      'What the node calls its version; `ringset grey` sends users to logics by it. Default: the version of the program.',
    tradeOff:
      'Lets two builds of one version, or two configurations, be told apart. Whoever sets it has to change it with every release.'
  }),
  roles: z.array(role).min(1).meta({
    description: 'What the process does; any mix of roles for any mix of sets.',
    unit: 'text',
    tradeOff: 'Roles of one node share one event loop and one disk writer, and fail together.'
  })
})
