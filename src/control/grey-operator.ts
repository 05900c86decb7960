import type { GreyRule, RoutingTable } from '../table/table.ts'
import { ArbiterCalls, patienceMs, type TableCluster } from './arbiter-calls.ts'
import type { ControlClient } from './control-client.ts'

type GreyNode = Pick<ControlClient, 'setGrey' | 'undoGrey'>

/** A logic as the table knows it. */
export interface GreyLogic {
  readonly id: string
  readonly set: string
  readonly node: string
  readonly version: string
  readonly state: string
}

/** A rule, and the logics of its version. */
export type RuleView = GreyRule & { readonly logics: readonly GreyLogic[] }

export interface GreyReport {
  readonly epoch: number
  /** False when it was so before. */
  readonly changed: boolean
  /** All that are in force now. */
  readonly rules: readonly RuleView[]
  /** Logics of versions that no rule names. */
  readonly others: readonly GreyLogic[]
}

/** Says which users go to logics of which version. */
export class GreyOperator {
  readonly #arbiters: ArbiterCalls<GreyNode>

  constructor(cluster: TableCluster<GreyNode>, patience = patienceMs) {
    this.#arbiters = new ArbiterCalls(cluster, patience)
  }

  /** In place of an earlier rule for the same version. Throws USAGE for a rule out of bounds, BAD_UID, OVERLOADED when there are too many. */
  async set({ version, percent, uids, prefixes }: GreyRule): Promise<GreyReport> {
    const hundredths = Math.round(percent * 100)
    const order = { version, hundredths, uids: [...uids], prefixes: [...prefixes] }
    const { epoch, changed } = await this.#arbiters.ask(node => node.setGrey(order))
    return reportOf(await this.#arbiters.table(epoch), changed)
  }

  /** @param version empty for every rule. */
  async undo(version: string): Promise<GreyReport> {
    const { epoch, changed } = await this.#arbiters.ask(node => node.undoGrey(version))
    return reportOf(await this.#arbiters.table(epoch), changed)
  }

  async list(): Promise<Omit<GreyReport, 'changed'>> {
    const { changed: _changed, ...report } = reportOf(await this.#arbiters.table(), false)
    return report
  }
}

function reportOf({ epoch, grey, sets }: RoutingTable, changed: boolean): GreyReport {
  const logics = sets.flatMap(set =>
    set.logics.map(({ id, nodeId, version, state }): GreyLogic => {
      return { id, set: set.id, node: nodeId, version, state }
    })
  )
  const ofVersion = (version: string) => logics.filter(logic => logic.version === version)
  return {
    epoch,
    changed,
    rules: grey.map(rule => ({ ...rule, logics: ofVersion(rule.version) })),
    others: logics.filter(({ version }) => grey.every(rule => rule.version !== version))
  }
}
