import type { Scenario } from './scenario.ts'

/** The users of a drill, unless it is told others. @param prefix of all their names. */
export function userNames({ users }: Pick<Scenario['workload'], 'users'>, prefix = ''): string[] {
  return Array.from({ length: users }, (_, i) => `${prefix}user-${i + 1}`)
}
