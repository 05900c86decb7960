/** While waiting does not pay, one wait in so long is a trial. */
const trialEveryMs = 250
/** Waiting pays while its second half brings so many commands on average… */
const lateCommands = 0.5
/** …and at least this share of the entry. */
const lateShare = 0.1
/** Weight of the newest wait. */
const smoothing = 1 / 8
/** With so little left of a wait it is over. */
const slackMs = 0.5

interface Wait {
  readonly halfwayMs: number
  readonly untilMs: number
  /** Commands of the entry up to halfway. */
  early: number
}

/**
 * Decides how long an entry waits for company. Entries cost processor on every replica whatever they hold, so under load fewer are
 * better for everybody. But a load that is itself waiting for outcomes sends nothing more meanwhile, and would only be slowed down.
 * What tells them apart is what the second half of a wait brought, by when the burst that answers the last outcomes is over. So
 * waits that pay are repeated, others only tried now and then.
 */
export class Gathering {
  readonly #gatherMs: number
  #proposedAtMs = Number.NEGATIVE_INFINITY
  #triedAtMs = Number.NEGATIVE_INFINITY
  #wait: Wait | undefined
  #pays = false
  #late = 0
  #total = 0

  /** @param gatherMs entries that wait are that far apart; 0: none waits. */
  constructor(gatherMs: number) {
    this.#gatherMs = gatherMs
  }

  /**
   * @param commands in the open entry, at least one.
   * @returns for how long it should stay open, in milliseconds; 0 = it is due.
   */
  waitMs(nowMs: number, commands: number): number {
    const wait = this.#wait ?? this.#begin(nowMs, commands)
    if (wait === undefined) return 0
    if (nowMs <= wait.halfwayMs) wait.early = commands
    const leftMs = wait.untilMs - nowMs
    return leftMs > slackMs ? leftMs : 0
  }

  /** So many commands go to the log, mostly as one entry. */
  proposed(nowMs: number, commands: number): void {
    this.#proposedAtMs = nowMs
    const wait = this.#wait
    if (wait === undefined) return
    this.#wait = undefined
    const weight = this.#pays ? smoothing : 1
    this.#late += weight * (commands - wait.early - this.#late)
    this.#total += weight * (commands - this.#total)
    this.#pays = this.#late >= lateCommands && this.#late >= lateShare * this.#total
  }

  #begin(nowMs: number, commands: number): Wait | undefined {
    const untilMs = this.#proposedAtMs + this.#gatherMs
    if (untilMs - nowMs <= slackMs) return undefined
    if (!this.#pays) {
      if (nowMs - this.#triedAtMs < trialEveryMs) return undefined
      this.#triedAtMs = nowMs
    }
    this.#wait = { halfwayMs: (nowMs + untilMs) / 2, untilMs, early: commands }
    return this.#wait
  }
}
