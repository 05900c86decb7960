import { defineConfig } from 'vitest/config'
import { CountReporter } from './test/support/count-reporter.ts'

/** `unit`, `contract`, `script`, `scenario` and `tidy` run in-process; `cluster` starts real node processes. */
export default defineConfig({
  test: {
    reporters: ['default', new CountReporter()],
    // By default one processor would stay idle. What starts processes runs by itself.
    maxWorkers: '100%',
    // Long enough for a machine that is busy with something else; nothing here waits for it.
    testTimeout: 30_000,
    projects: [
      { test: { name: 'unit', include: ['src/**/*.test.ts', 'cmd/**/*.test.ts'] } },
      { test: { name: 'contract', include: ['test/contract/**/*.test.ts'] } },
      { test: { name: 'script', include: ['test/script/**/*.test.ts'] } },
      {
        test: { name: 'scenario', include: ['test/scenario/**/*.test.ts'], testTimeout: 120_000 }
      },
      { test: { name: 'tidy', include: ['test/tidy/**/*.test.ts'] } },
      {
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 60_000,
          fileParallelism: false
        }
      }
    ]
  }
})
