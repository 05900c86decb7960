import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parseConfig } from '../config/config.ts'
import { dataFolder } from '../config/data-folder.ts'
import { newSetLayout } from './set-layout.ts'
import { wholeClusterConfig } from './whole-cluster.ts'

const folder = mkdtempSync(join(tmpdir(), 'ringset-layout-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The zones that the nodes of a new set get, in a cluster of one set whose nodes are in these. */
async function zonesFor(zones: readonly string[]): Promise<(string | undefined)[]> {
  const shape = await wholeClusterConfig(['s1'])
  const nodes = shape.nodes.map((node, i) => {
    const zone = zones[i]
    return zone === undefined ? node : { ...node, zone }
  })
  const layout = await newSetLayout('s2', 1, parseConfig({ ...shape, nodes }), dataFolder(folder))
  return layout.nodes.map(({ zone }) => zone)
}

describe('the layout of a new set', () => {
  it('names no zone in a cluster that has none', async () => {
    expect(await zonesFor([])).toEqual([undefined, undefined, undefined])
  })

  it('is spread over the zones, those with the fewest routers first', async () => {
    expect(await zonesFor(['a', 'b', 'c', 'a', 'b', 'c'])).toEqual(['a', 'b', 'c'])
    expect(await zonesFor(['a', 'a', 'b', 'c', 'c', 'b'])).toEqual(['c', 'b', 'a'])
    expect(await zonesFor(['a', 'a', 'b', 'b', 'b', 'b'])).toEqual(['b', 'a', 'b'])
  })
})
