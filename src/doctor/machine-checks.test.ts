import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parseConfig } from '../config/config.ts'
import { dataFolder } from '../config/data-folder.ts'
import { ensureSecrets } from '../config/secrets.ts'
import { wholeClusterConfig } from '../launch/whole-cluster.ts'
import type { Finding } from './finding.ts'
import {
  configuration,
  diskSpace,
  fileLimit,
  forgottenNodes,
  locks,
  nodeVersion,
  secretFiles
} from './machine-checks.ts'

const root = mkdtempSync(join(tmpdir(), 'ringset-doctor-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const folder = dataFolder(root)
const config = parseConfig(await wholeClusterConfig(['s1']))
const levels = (findings: readonly Finding[]): string[] => findings.map(({ level }) => level)

describe('what a machine is looked at for', () => {
  it('is a Node.js that is new enough', () => {
    const judged = ['18.20.1', '20.18.9', '20.19.0', '22.0.0'].map(one => nodeVersion(one).level)
    expect(judged).toEqual(['fail', 'fail', 'ok', 'ok'])
    expect(nodeVersion().level).toBe('ok')
  })

  it('is a limit of open files that holds all clients of a node', () => {
    const limits = (most: string) => `Limit  Soft  Hard\nMax open files  1024  ${most}  files\n`
    expect(fileLimit(config, limits('55000')).level).toBe('ok')
    expect(fileLimit(config, limits('unlimited')).level).toBe('ok')
    expect(fileLimit(config, limits('54999'))).toMatchObject({
      level: 'warn',
      text: expect.stringContaining('54999 files, and 55000'),
      remedy: expect.stringContaining('LimitNOFILE')
    })
    expect(fileLimit(undefined, limits('5000')).level).toBe('ok')
    expect(fileLimit(config, '').level).toBe('ok')
  })

  it('is room on the disk, twice the reserve', () => {
    const { reserveBytes } = config.storage
    const at = (share: number) => diskSpace(folder, config, share * reserveBytes).level
    expect([2, 1.9, 1, 0.9].map(at)).toEqual(['ok', 'warn', 'warn', 'fail'])
    expect(diskSpace(dataFolder(join(root, 'not/there')), undefined).level).toBe('ok')
  })
})

describe('what a data folder is looked at for', () => {
  it('are secrets that are whole and nobody else can read', () => {
    expect(secretFiles(folder)).toMatchObject([{ level: 'ok', text: 'none yet' }])
    mkdirSync(folder.nodeFolder('s1-a'), { recursive: true })
    expect(levels(secretFiles(folder))).toEqual(['warn', 'warn'])
    ensureSecrets(root)
    expect(levels(secretFiles(folder))).toEqual(['ok'])
    chmodSync(folder.secretFile, 0o640)
    expect(secretFiles(folder)).toMatchObject([
      { level: 'fail', remedy: `chmod 600 ${folder.secretFile}` }
    ])
    chmodSync(folder.secretFile, 0o600)
    writeFileSync(folder.credentialFile, 'short')
    expect(secretFiles(folder)).toMatchObject([{ level: 'fail', check: 'secrets' }])
  })

  it('are locks of processes that are gone, and a `set add` that was left', () => {
    expect(levels(locks(folder))).toEqual(['ok'])
    writeFileSync(folder.lockFile, String(process.pid))
    expect(levels(locks(folder))).toEqual(['ok'])
    writeFileSync(folder.lockFile, '999999999')
    writeFileSync(folder.rollLockFile, 'junk')
    writeFileSync(folder.setAddFile, 's3\n')
    const found = locks(folder)
    expect(levels(found)).toEqual(['warn', 'warn', 'warn'])
    expect(found[0]!.text).toContain('by process 999999999')
    expect(found[2]!.remedy).toContain('ringset set add s3')
  })

  it('are folders of nodes that the configuration does not have', () => {
    expect(forgottenNodes(folder, config)).toEqual([])
    mkdirSync(folder.nodeFolder('s9-a'))
    expect(forgottenNodes(folder, config)).toMatchObject([
      { level: 'warn', text: expect.stringMatching(/have: s9-a$/) }
    ])
    expect(forgottenNodes(dataFolder(join(root, 'none')), config)).toEqual([])
  })

  it('is its configuration: problems fail, warnings warn', () => {
    const file = join(root, 'config.yaml')
    expect(configuration(file)).toMatchObject({ config: undefined, findings: [{ level: 'fail' }] })
    writeFileSync(file, 'cluster: {name: x, colour: red}\nsets: []\nnodes: []\n')
    expect(levels(configuration(file).findings)).toEqual(['fail', 'fail', 'fail'])
    writeFileSync(file, JSON.stringify(config))
    expect(configuration(file)).toMatchObject({ config, findings: [{ level: 'ok' }] })
    const nodes = config.nodes.map((node, i) => ({ ...node, zone: 'aabcde'[i] }))
    writeFileSync(file, JSON.stringify({ ...config, nodes }))
    expect(levels(configuration(file).findings)).toEqual(['warn'])
  })
})
