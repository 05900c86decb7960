import { writeSync } from 'node:fs'
import type { RingsetError } from '../../src/base/errors.ts'
import { openAt, runAsync } from './level-harness.ts'
import { liesOf, Workload, workloadGroups } from './store-workload.ts'

/** What the exit status says about a directory. */
const verdicts = { whole: 0, lies: 1, quarantined: 2, damaged: 3 } as const

/** `check DIRECTORY LAST`: opens it, reads everything, writes once. */
async function check(directory: string, last: number): Promise<number> {
  let fail: (error: RingsetError) => void = () => {}
  const failed = new Promise<RingsetError>(resolve => {
    fail = resolve
  })
  try {
    const database = await openAt(directory, { onFatal: fail })
    let verdict: number = verdicts.whole
    for (const name of workloadGroups) {
      const store = await database.group(name)
      if (liesOf(name, store).length > 0) return verdicts.lies
      if (store.recovered.quarantine !== undefined) verdict = verdicts.quarantined
      else if (store.lastIndex() !== last) return verdicts.lies
      const write = runAsync<undefined>(done => store.write({ sync: true }, () => done(undefined)))
      const error = await Promise.race([write, failed])
      if (error) throw error
    }
    await database.close()
    return verdict
  } catch (error) {
    return (error as RingsetError).code === 'DATA_DAMAGED' ? verdicts.damaged : verdicts.lies
  }
}

/** `write DIRECTORY`: goes on writing for ever and says after each step what each group has acknowledged. */
async function write(directory: string): Promise<never> {
  const workload = await Workload.on(await openAt(directory, { writeBufferBytes: 256 * 1024 }), 200)
  for (;;) {
    const acknowledged = await workload.run(1)
    writeSync(1, `${acknowledged.join(' ')}\n`)
  }
}

const [mode, directory, last] = process.argv.slice(2)
if (mode === 'check') {
  check(directory!, Number(last)).then(status => process.exit(status))
} else {
  write(directory!).catch(error => {
    console.error(error)
    process.exit(9)
  })
}
