import { afterAll, expect, it } from 'vitest'
import { measureSnapshotStall } from '../support/snapshot-stall.ts'
import { TestFolder } from './level-harness.ts'

const folder = new TestFolder()
afterAll(() => folder.remove())

it('a snapshot is built, streamed and installed in small pieces', async () => {
  const { busyMs } = await measureSnapshotStall(folder.sub(), 30_000)
  // Some 10 ms for all three replicas together; as one piece it would be ten times as much.
  expect(busyMs).toBeLessThan(60)
}, 60_000)
