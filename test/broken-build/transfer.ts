import { Transfer as Whole } from '../../src/transfer/transfer.ts'
import { siteOf, tampering } from './tampering.ts'

/** In place of the one that nodes are built with. */
export class Transfer extends Whole {
  constructor(...parts: ConstructorParameters<typeof Whole>) {
    super(...parts)
    const [, links] = parts
    tampering.transfer?.(this, siteOf('', 0).process, (connId, sent) => {
      links.send(connId, sent)
    })
  }
}
