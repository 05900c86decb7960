import {
  type FaultAction,
  isLinkAction,
  isNodeAction,
  isOperation,
  type Scenario,
  type ScenarioFault
} from './scenario.ts'

/** They leave something behind that no later step takes back, or rewrite the configuration. */
const throwAwayOnly: readonly FaultAction[] = ['nearlyFullDisk', 'addSet', 'removeSet']
const damagingActions: readonly FaultAction[] = ['wipe', 'bitRot', 'oldDirectory']

/** Those that only a throw-away cluster may suffer. */
export function needThrowAway(scenario: Scenario): FaultAction[] {
  return actionsOf(scenario, action => throwAwayOnly.includes(action))
}

/** Those that signal or restart processes. */
export function needProcesses(scenario: Scenario): FaultAction[] {
  return actionsOf(scenario, action => {
    if (isOperation(action)) return action === 'roll'
    return !isLinkAction(action) && !isNodeAction(action)
  })
}

/** Those that nodes have to do to themselves, and let be done only with `cluster.faultControl`. */
export function disturbing(scenario: Scenario): FaultAction[] {
  return actionsOf(scenario, action => {
    if (action === 'diskFull' || action === 'syncError') return true
    return isLinkAction(action) || isNodeAction(action)
  })
}

/** Those that damage data folders. */
export function damaging(scenario: Scenario): FaultAction[] {
  return actionsOf(scenario, action => damagingActions.includes(action))
}

function actionsOf({ faults }: Scenario, fits: (action: FaultAction) => boolean): FaultAction[] {
  return [...new Set(faults.map(fault => fault.do).filter(fits))]
}

/** What a drill would do to a cluster. */
export function consentText(scenario: Scenario, seconds: number, cluster: string): string {
  const { users, messagesPerSecond } = scenario.workload
  const damages = damaging(scenario)
  const damage =
    damages.length === 0
      ? ''
      : ` ${damages.join(', ')} damages data folders of nodes, to be healed by their peers.`
  const faults = scenario.faults.map(strokeText).join('; ')
  return (
    `${scenario.name} hurts the running ${cluster} on purpose, for ${seconds} s: ${faults}.` +
    `${damage} Its users will notice outages. ${users} users called ringset-probe-… write ${messagesPerSecond}` +
    ' messages a second meanwhile, which stay in the cluster. In the end all is mended, and every process runs again.'
  )
}

function strokeText({ do: action, target, from, to, at, every }: ScenarioFault): string {
  const link = from === undefined ? '' : ` ${from} – ${to ?? 'all others'}`
  const whom = target === undefined ? link : ` ${target}`
  return `${action}${whom} ${every === undefined ? `at ${at} s` : `every ${every} s`}`
}
