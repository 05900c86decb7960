import { HistoryRecorder } from '../../src/chaos/history-recorder.ts'
import type { MessageSample } from '../../src/chaos/message-sample.ts'
import type { FaultRecord } from '../../src/chaos/recovery.ts'
import type { RunFacts } from '../../src/chaos/report-checks.ts'
import { parseScenario } from '../../src/chaos/scenario.ts'

/** When its load began. */
const startMs = 1_000
/** A message every 10 ms in turn for each set; s1 answers nothing from `outFrom` to `outTo` but catches up then. */
export function traffic(outFrom: number, outTo: number, untilMs: number): MessageSample[] {
  const samples: MessageSample[] = []
  for (let dueMs = startMs; dueMs < untilMs; dueMs += 10) {
    const set = (dueMs / 10) % 2 === 0 ? 's1' : 's2'
    const late = set === 's1' && dueMs >= outFrom && dueMs < outTo
    const ackedMs = late ? outTo + 5 : dueMs + 5
    samples.push({
      session: 'p2p/a/b',
      sender: 'a',
      receiver: 'b',
      number: samples.length + 1,
      dueMs,
      homeSet: set,
      senderSet: set,
      receiverSet: set,
      ackedMs,
      deliveredMs: ackedMs + 3
    })
  }
  return samples
}

export const kill: FaultRecord = {
  action: 'kill',
  line: 0,
  target: 'leader of s1',
  nodes: ['s1-a'],
  sets: ['s1'],
  ledGroups: ['s1'],
  atMs: 6_000,
  inForceMs: 6_000,
  undoneMs: 7_000
}

/** One message, acknowledged, that nobody has received. */
export function oneAcknowledged(): HistoryRecorder {
  const history = new HistoryRecorder()
  history.add('members', 'ok', 'member', 's', {
    session: 'p2p/a/b',
    uid: 'b',
    device: 'd',
    from: 1
  })
  history.add('a#0', 'invoke', 'send', 'p2p/a/b', { uid: 'a', deviceId: 'd', clientMsgId: 1 })
  history.add('a#0', 'ok', 'send', 'p2p/a/b', { msgid: 1, duplicate: false })
  return history
}

const following = { group: 's1', term: 1, led: true, wasLed: false }

/** What a drill of eleven seconds leaves behind in which s1 lost its leader at five and had no other for 0.2. */
export function facts(change: Partial<RunFacts> = {}): RunFacts {
  const history = oneAcknowledged()
  const received = { uid: 'b', device: 'd', session: 'p2p/a/b', msgid: 1, clientMsgId: 1 }
  history.add('b/d', 'ok', 'receive', null, { ...received, sender: 'a', senderDevice: 'd' })
  return {
    scenario: parseScenario(
      'name: t\nproves: <b>nothing</b> much\nfaults: [{ do: kill, target: leader of s1, at: 1 }]\nexpect: { firstAckMs: 500, untouchedTimes: 1.1, errors: 2 }',
      't.yaml'
    ),
    seed: 1,
    startMs,
    endMs: 12_000,
    healedMs: 10_000,
    samples: traffic(6_000, 6_200, 12_000),
    errors: new Map([['TIMEOUT', 2]]),
    faults: [kill],
    outcomes: [],
    failStops: [],
    failures: [],
    wrongOnline: [{ fault: 0, transfer: 's1-t1', ms: 700 }],
    usersBack: [{ fault: 0, transfer: 's1-t1', ms: [80, 300] }],
    gatewaysOf: uid => (uid === 'a' ? 's1-t1' : ''),
    leaderChanges: [
      { atMs: 900, group: 's1', node: 's1-a', term: 1 },
      { atMs: 6_150, group: 's1', node: 's1-b', term: 2 }
    ],
    followings: [
      { ...following, atMs: 900, node: 's1-a' },
      { ...following, atMs: 950, node: 's1-b' },
      { ...following, atMs: 960, node: 's1-c' },
      { ...following, atMs: 6_110, node: 's1-c', led: false, wasLed: true },
      { ...following, atMs: 6_150, node: 's1-b', term: 2, wasLed: true },
      { ...following, atMs: 6_180, node: 's1-c', term: 2 },
      { ...following, atMs: 7_500, node: 's1-a', term: 2 }
    ],
    epochChanges: [{ atMs: 6_300, epoch: 5 }],
    sights: [],
    missing: [],
    judgement: history.judge(),
    ...change
  }
}
