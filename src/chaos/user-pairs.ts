import type { Prng } from '../base/prng.ts'
import { p2pSession, parseSession, routingKey } from '../protocol/session.ts'
import type { MessagePath } from './message-sample.ts'

/** Everybody talks to the users so many places on in their group. */
const contactSteps = [1, 2, 7]

/** Who writes to whom, and where each of them lives at the moment. */
export class UserPairs {
  readonly #setOf: (key: string) => string
  readonly #paths: MessagePath[]

  /**
   * @param groups users who write to each other.
   * @param setOf the set that a routing key belongs to now.
   */
  constructor(groups: readonly (readonly string[])[], setOf: (key: string) => string) {
    this.#setOf = setOf
    this.#paths = groups.flatMap(group =>
      group.flatMap((uid, i) =>
        contactSteps
          .map(step => group[(i + step) % group.length]!)
          .filter(other => other !== uid)
          .flatMap(other => [this.#pathOf(uid, other), this.#pathOf(other, uid)])
      )
    )
  }

  all(): readonly MessagePath[] {
    return this.#paths
  }

  /** One of them; the same object as long as nobody on it moves. */
  next(random: Prng): MessagePath {
    const index = random.below(this.#paths.length)
    const known = this.#paths[index]!
    const now = this.#pathOf(known.sender, known.receiver)
    const { senderSet, homeSet, receiverSet } = known
    const same =
      now.senderSet === senderSet && now.homeSet === homeSet && now.receiverSet === receiverSet
    if (same) return known
    this.#paths[index] = now
    return now
  }

  #pathOf(sender: string, receiver: string): MessagePath {
    const session = p2pSession(sender, receiver)
    return {
      session,
      sender,
      receiver,
      senderSet: this.#setOf(sender),
      homeSet: this.#setOf(routingKey(session, parseSession(session))),
      receiverSet: this.#setOf(receiver)
    }
  }
}
