import { defineConfig } from 'vitest/config'
import { CountReporter } from './test/support/count-reporter.ts'

/** Long enough for a machine that is busy with something else; no test waits for it. */
const testTimeout = 30_000
const ofProcesses = { testTimeout: 180_000, hookTimeout: 60_000, fileParallelism: false }

/**
 * `unit`, `contract`, `script`, `scenario` and `tidy` run in-process; `cluster` starts real node processes. `long` does so for minutes, and
 * only on request: `npm run test:long`.
 */
export default defineConfig({
  test: {
    reporters: ['default', new CountReporter()],
    // By default one processor would stay idle. What starts processes runs by itself.
    maxWorkers: '100%',
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'cmd/**/*.test.ts'],
          testTimeout
        }
      },
      { test: { name: 'contract', include: ['test/contract/**/*.test.ts'], testTimeout } },
      { test: { name: 'script', include: ['test/script/**/*.test.ts'], testTimeout } },
      {
        test: { name: 'scenario', include: ['test/scenario/**/*.test.ts'], testTimeout: 120_000 }
      },
      { test: { name: 'tidy', include: ['test/tidy/**/*.test.ts'], testTimeout } },
      { test: { name: 'cluster', include: ['test/cluster/**/*.test.ts'], ...ofProcesses } },
      ...(process.env.RINGSET_LONG === undefined
        ? []
        : [{ test: { name: 'long', include: ['test/long/**/*.test.ts'], ...ofProcesses } }])
    ]
  }
})
