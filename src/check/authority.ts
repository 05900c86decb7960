import { Findings, quote } from './findings.ts'
import type { Leader, Owner, TableEpoch } from './values.ts'

interface SlotOwner {
  set: string
  epoch: number
  line: number
  /** The set promised to say when it stops. */
  held: boolean
}

/** Judges who may act: `ownership` of slots, table `epochs`, Raft `terms` and `leaders`. */
export class Authority {
  readonly #ownership = new Findings()
  readonly #epochs = new Findings()
  readonly #terms = new Findings()
  readonly #leaders = new Findings()
  readonly #slots = new Map<number, SlotOwner>()
  readonly #epochOf = new Map<string, number>()
  readonly #hashOf = new Map<number, string>()
  readonly #termOf = new Map<string, number>()
  readonly #leaderOf = new Map<string, string>()

  owner(claim: Owner, line: number): void {
    this.#ownership.judged++
    const { slot, set, epoch } = claim
    const known = this.#slots.get(slot)
    if (known !== undefined && !this.#mayFollow(known, claim, line)) return
    const stillHeld = known?.set === set && known.held
    const held = claim.released === undefined ? stillHeld : !claim.released
    this.#slots.set(slot, { set, epoch, line, held })
  }

  leader(seen: Leader, process: string, line: number): void {
    const { group, term, leader } = seen
    this.#leaders.judged++
    this.#terms.judged++
    const reign = `${group}\n${term}`
    const known = this.#leaderOf.get(reign)
    if (known === undefined) this.#leaderOf.set(reign, leader)
    else if (known !== leader) {
      const both = `${quote(known)} and ${quote(leader)} lead ${quote(group)} in term ${term}`
      this.#leaders.bad(() => `line ${line}: ${both}`)
    }
    const observer = `${process}\n${group}`
    const before = this.#termOf.get(observer) ?? 0
    if (term < before) {
      const back = `${quote(process)} went back from term ${before} of ${quote(group)} to ${term}`
      this.#terms.bad(() => `line ${line}: ${back}`)
    } else this.#termOf.set(observer, term)
  }

  epoch(adopted: TableEpoch, process: string, line: number): void {
    this.#epochs.judged++
    const { epoch, hash } = adopted
    const before = this.#epochOf.get(process) ?? 0
    if (epoch < before) {
      const back = `${quote(process)} went back from epoch ${before} to ${epoch}`
      this.#epochs.bad(() => `line ${line}: ${back}`)
    } else this.#epochOf.set(process, epoch)
    if (hash === undefined) return
    const known = this.#hashOf.get(epoch)
    if (known === undefined) this.#hashOf.set(epoch, hash)
    else if (known !== hash) {
      const both = `epoch ${epoch} has contents ${quote(known)} and ${quote(hash)}`
      this.#epochs.bad(() => `line ${line}: ${both}`)
    }
  }

  ownership() {
    return this.#ownership.check('ownership', 'sightings of a slot owner')
  }

  epochs() {
    return this.#epochs.check('epochs', 'sightings of a table epoch')
  }

  terms() {
    return this.#terms.check('terms', 'sightings of a term')
  }

  leaders() {
    return this.#leaders.check('leaders', 'sightings of a leader')
  }

  #mayFollow(known: SlotOwner, claim: Owner, line: number): boolean {
    const { slot, set, epoch } = claim
    const before = `${quote(known.set)} under epoch ${known.epoch} (line ${known.line})`
    const now = `line ${line}: slot ${slot} is with ${quote(set)} under epoch ${epoch}`
    // Giving up what somebody else owns by now says nothing new.
    if (claim.released === true && set !== known.set) return false
    if (epoch < known.epoch) {
      this.#ownership.bad(() => `${now}, after ${before}`)
      return false
    }
    if (set === known.set) return true
    if (epoch === known.epoch) {
      this.#ownership.bad(() => `${now}, and with ${before}`)
      return false
    }
    if (known.held) this.#ownership.bad(() => `${now}, not yet released by ${before}`)
    return true
  }
}
