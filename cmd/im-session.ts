import { RingsetError } from '../src/base/errors.ts'
import { FileStore } from '../src/client/file-store.ts'
import { ImClient } from '../src/client/im-client.ts'
import type { MessageListener } from '../src/client/im-types.ts'
import type { ClusterControl } from '../src/control/cluster-control.ts'
import { checkUid } from '../src/protocol/session.ts'
import { claimDevice } from './device.ts'
import type { TargetOptions } from './options.ts'
import { openTarget } from './target.ts'

const tokenSeconds = 3600
const connectDeadlineMs = 10_000
const sendDeadlineMs = 20_000

interface Conversation {
  /** Set before the connection is made, so that nothing is missed. */
  readonly listener?: MessageListener
  /** What to do once connected. `lost` is raised when the server ends the connection for good. */
  work(client: ImClient, lost: AbortSignal): Promise<void>
}

/**
 * Connects as `uid` to a gateway of its set, holds the conversation and leaves properly whatever happens. Throws KICKED or what else ended
 * the connection for good.
 */
export async function asUser(
  uid: string,
  verb: string,
  options: TargetOptions,
  { listener, work }: Conversation
): Promise<void> {
  checkUid(uid)
  const control = await openTarget(options)
  try {
    const addresses = await gatewaysOf(control, uid)
    const device = claimDevice(options.data, uid, verb)
    const client = new ImClient({
      uid,
      token: async () => (await control.any(node => node.issueToken(uid, tokenSeconds))).token,
      class: 'bot',
      addresses,
      store: new FileStore(device.storeFile),
      connectDeadlineMs,
      sendDeadlineMs
    })
    const lost = new AbortController()
    client.onState((state, error) => {
      if (state === 'kicked' || state === 'failed') lost.abort(error ?? new RingsetError('KICKED'))
    })
    if (listener !== undefined) client.onMessage(listener)
    try {
      await client.connect()
      await work(client, lost.signal)
      lost.signal.throwIfAborted()
    } finally {
      await client.close()
      device.release()
    }
  } finally {
    control.close()
  }
}

/** Addresses of the gateways of the user's set. Throws SET_UNAVAILABLE when none is up. */
async function gatewaysOf(control: ClusterControl, uid: string): Promise<string[]> {
  const { set } = await control.any(node => node.route(uid))
  const table = await control.any(node => node.table())
  const transfers = table.sets.find(({ id }) => id === set)?.transfers ?? []
  const addresses = transfers
    .filter(({ state }) => state === 'up')
    .flatMap(({ clientAddresses }) => clientAddresses)
  if (addresses.length > 0) return addresses
  throw new RingsetError('SET_UNAVAILABLE', `set ${set} has no gateway that is up`, { set })
}
