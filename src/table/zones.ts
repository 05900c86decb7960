/**
 * The zone without which a group has no majority, although there are zones enough to do without any one of them; undefined where
 * there is none, or where no spread would be better.
 *
 * @param voters the zone of each voter. @param zones how many zones there are.
 */
export function decisiveZone(voters: readonly string[], zones: number): string | undefined {
  const spare = Math.ceil(voters.length / 2) - 1
  if (spare < 1 || Math.ceil(voters.length / spare) > zones) return undefined
  const held = new Map<string, number>()
  for (const zone of voters) held.set(zone, (held.get(zone) ?? 0) + 1)
  for (const [zone, count] of held) if (count > spare) return zone
  return undefined
}
