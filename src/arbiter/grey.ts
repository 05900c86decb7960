import type { GreyRule, RoutingTable } from '../table/table.ts'
import { tableLimits, validGreyRule } from '../table/table-rules.ts'

/** Why a rule cannot be in the table. */
export type RuleRefusal = 'malformed' | 'full'

/** The table with a rule, in place of an earlier one for the same version. */
export function withRule(table: RoutingTable, rule: GreyRule): RoutingTable | RuleRefusal {
  if (!validGreyRule(rule)) return 'malformed'
  const others = table.grey.filter(({ version }) => version !== rule.version)
  if (others.length >= tableLimits.greyRules) return 'full'
  const grey = [...others, rule].sort((a, b) => (a.version < b.version ? -1 : 1))
  return { ...table, grey }
}

/** The table without the rule for a version, or without any for '': the very same object when there is none. */
export function withoutRules(table: RoutingTable, version: string): RoutingTable {
  const grey = table.grey.filter(rule => version !== '' && rule.version !== version)
  return grey.length === table.grey.length ? table : { ...table, grey }
}
