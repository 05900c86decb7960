import type { Mutant } from '../src/sim/mutants/mutant.ts'
import { mutants } from '../src/sim/mutants/registry.ts'
import { simulate } from '../src/sim/simulate.ts'

/**
 * Breaks each rule on purpose and demands that the simulation notices within the budget, and that the same seed finds nothing
 * when the rule holds: `npm run test:mutants [-- NAME …]`. RINGSET_MUTANT_SEEDS is the budget.
 */
const budget = Number(process.env.RINGSET_MUTANT_SEEDS ?? 60)
const faultMs = 10_000
const names = process.argv.slice(2)

interface Outcome {
  readonly caughtBy: string
  /** 0 = it survived. */
  readonly seed: number
  readonly falseAlarm: string
  readonly seconds: number
}

function judge(mutant: Mutant): Outcome {
  const startedMs = performance.now()
  const seconds = (): number => (performance.now() - startedMs) / 1_000
  for (let seed = 1; seed <= budget; seed++) {
    const { ok, check = '' } = simulate({ seed, faultMs, mutant: mutant.name })
    if (ok) continue
    const without = simulate({ seed, faultMs, swarm: mutant.world })
    const falseAlarm = without.ok ? '' : `${without.check}: ${without.text}`
    return { caughtBy: check, seed, falseAlarm, seconds: seconds() }
  }
  return { caughtBy: '', seed: 0, falseAlarm: '', seconds: seconds() }
}

function row(cells: readonly string[]): void {
  const [name = '', check = '', seeds = '', seconds = '', rest = ''] = cells
  const numbers = `${seeds.padStart(9)} ${seconds.padStart(8)}`
  console.log(`${name.padEnd(24)} ${check.padEnd(22)} ${numbers}  ${rest}`)
}

const unknown = names.filter(name => !mutants.some(mutant => mutant.name === name))
if (unknown.length > 0) throw new Error(`no such mutant: ${unknown.join(', ')}`)

row(['mutant', 'caught by', `of ${budget}`, 'seconds', 'what is broken'])
let bad = 0
for (const mutant of mutants) {
  if (names.length > 0 && !names.includes(mutant.name)) continue
  const { caughtBy, seed, falseAlarm, seconds } = judge(mutant)
  const expected = mutant.noticedBy.includes(caughtBy)
  const check = seed === 0 ? 'SURVIVED' : `${caughtBy}${expected ? '' : ' (unexpected)'}`
  row([mutant.name, check, seed === 0 ? '-' : `${seed}`, seconds.toFixed(1), mutant.breaks])
  if (falseAlarm !== '') console.log(`  seed ${seed} fails without it too: ${falseAlarm}`)
  if (seed === 0 || falseAlarm !== '') bad++
}
if (bad > 0) {
  console.log(`${bad} FAILED`)
  process.exitCode = 1
}
