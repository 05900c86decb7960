import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { checkConfigText } from './config.ts'
import { withoutSet, withSet } from './edit-config.ts'

const local = readFileSync(new URL('../../cluster-configs/local.yaml', import.meta.url), 'utf8')

const node = {
  id: 's3-a',
  peerPort: 7301,
  controlPort: 7311,
  roles: [
    { role: 'router' as const, set: 's3', replica: 1 },
    { role: 'transfer' as const, id: 's3-t1', set: 's3', tcpPort: 7321 },
    { role: 'logic' as const, id: 's3-l1', set: 's3' }
  ]
}
const set = { id: 's3', weight: 2 }

describe('a configuration that is edited', () => {
  it.each([
    ['YAML', local],
    ['JSON', JSON.stringify(checkConfigText(local).config, null, 2)]
  ])('gets a set and loses it again, as %s, and nothing else changes', (_, text) => {
    const before = checkConfigText(text).config!
    const more = withSet(text, set, [node])
    const config = checkConfigText(more).config!
    expect(config.sets).toEqual([...before.sets, { id: 's3', zone: 'default', weight: 2 }])
    expect(config.nodes.at(-1)).toMatchObject(node)
    expect(config.nodes.slice(0, -1)).toEqual(before.nodes)
    const less = withoutSet(more, 's3')
    expect(checkConfigText(less).config).toEqual(before)
    expect(withoutSet(less, 's3')).toBe(less)
  })

  it('keeps its comments', () => {
    expect(withSet(local, set, [node])).toContain(local.split('\n')[0])
  })

  it('keeps a node that works for another set, without the roles of the one that goes', () => {
    const shared = {
      ...node,
      roles: [...node.roles, { role: 'logic' as const, id: 'x', set: 's1' }]
    }
    const { config } = checkConfigText(withoutSet(withSet(local, set, [shared]), 's3'))
    expect(config!.nodes.at(-1)).toMatchObject({
      id: 's3-a',
      roles: [{ role: 'logic', id: 'x', set: 's1' }]
    })
  })

  it('is refused when what comes of it is none', () => {
    expect(() => withSet(local, { id: 's1' }, [])).toThrow('set-id-unique')
    expect(() => withSet(local, set, [])).toThrow('set-complete')
    expect(() => withSet(local, set, [{ ...node, peerPort: 7101 }])).toThrow('port-unique')
  })

  it('never loses its last set', () => {
    expect(() => withoutSet(withoutSet(local, 's1'), 's2')).toThrow('sets')
  })
})
