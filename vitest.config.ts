import { defineConfig } from 'vitest/config'
import { CountReporter } from './test/support/count-reporter.ts'

/** Long enough for a machine that is busy with something else; no test waits for it. */
const testTimeout = 30_000
const ofProcesses = { testTimeout: 180_000, hookTimeout: 60_000 }

/**
 * `unit`, `contract`, `script`, `scenario` and `tidy` run in-process. `command` and `cluster` start real processes: `command` two files at a
 * time, as they mostly wait; `cluster` one, as load and time matter there.
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
      {
        test: {
          name: 'command',
          include: ['test/command/**/*.test.ts'],
          ...ofProcesses,
          sequence: { groupOrder: 1 }
        }
      },
      {
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          ...ofProcesses,
          fileParallelism: false
        }
      }
    ]
  }
})
