import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeReportFolder } from './report-folder.ts'

describe('the folder of a report', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringset-report-folder-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('is made with those above it, and taken as it is when it is there', () => {
    const deep = join(folder, 'a/b/c')
    makeReportFolder(deep)
    makeReportFolder(deep)
    expect(existsSync(deep)).toBe(true)
  })

  it('is refused where there is a file, or nothing can be made', () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    const refused = (path: string) =>
      expect(() => makeReportFolder(path)).toThrow(expect.objectContaining({ code: 'USAGE' }))
    refused(file)
    refused(join(file, 'below'))
    refused('/proc/ringset-nowhere/deep')
  })
})
