/** The steps of a slot's way to another set: what the routing table says, or what the leader of one of the two sets has logged. */
export const moveSteps = [
  'begun',
  'import',
  'seal',
  'imported',
  'done',
  'take',
  'leave',
  'forget',
  'settle'
] as const
export type MoveStep = (typeof moveSteps)[number]

/** Whose leader dies: of the set that the slot leaves, of that where it goes, or of the arbiters. */
export const stepVictims = ['source', 'destination', 'arbiter'] as const
export type StepVictim = (typeof stepVictims)[number]
