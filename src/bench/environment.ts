import { readFileSync } from 'node:fs'
import { arch, cpus, platform, release, totalmem } from 'node:os'

/** What a figure was measured on; printed with every result, because a number without it means nothing. */
export interface BenchEnvironment {
  readonly node: string
  readonly ringset: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly at: string
}

export function describeEnvironment(): BenchEnvironment {
  const processors = cpus()
  const manifest = new URL('../../package.json', import.meta.url)
  return {
    node: process.version,
    ringset:
      readVersion(manifest) ??
      readVersion(new URL('../../../package.json', import.meta.url)) ??
      'unknown',
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    at: new Date().toISOString()
  }
}

function readVersion(url: URL): string | undefined {
  try {
    const manifest = JSON.parse(readFileSync(url, 'utf8')) as { name?: string; version?: string }
    return manifest.name === 'ringset' ? manifest.version : undefined
  } catch {
    return undefined
  }
}
