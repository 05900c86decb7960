import { LevelHarness } from './level-harness.ts'
import { describeStore } from './store-contract.ts'

describeStore('the LevelDB store', () => new LevelHarness().open())
