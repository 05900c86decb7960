import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ChaosReport } from './report.ts'
import { reportPage } from './report-page.ts'

const page = 'report.html'
const facts = 'report.json'
const history = 'history.jsonl'

/** Where the logs of nodes are kept. */
export function logFolder(directory: string): string {
  return join(directory, 'logs')
}

/** Where the history of a drill goes; its folder is made. */
export function historyFile(directory: string): string {
  mkdirSync(directory, { recursive: true })
  return join(directory, history)
}

export function writeReport(directory: string, report: ChaosReport): void {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, facts), `${JSON.stringify(report, null, 2)}\n`)
  writeFileSync(join(directory, page), reportPage(report))
}

/** What an earlier drill has left there must not be taken for this one's. What is of no drill stays: logs without any of its files, too. */
export function clearReport(directory: string): void {
  const files = [page, facts, history].map(name => join(directory, name))
  if (!files.some(existsSync)) return
  for (const file of files) rmSync(file, { force: true })
  const logs = logFolder(directory)
  const names = existsSync(logs) ? readdirSync(logs).filter(name => name.endsWith('.log')) : []
  for (const name of names) rmSync(join(logs, name), { force: true })
}
