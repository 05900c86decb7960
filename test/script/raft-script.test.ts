import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { RaftScript } from './raft-script.ts'

const folder = new URL('./raft/', import.meta.url)
const update = process.env.UPDATE_GOLDEN === '1'

interface Block {
  /** Comments and commands as they stand in the file. */
  readonly head: string[]
  readonly commands: string[]
  readonly golden: string[]
}

/** Blocks are separated by empty lines: comments, commands, `----`, the trace. */
function parseBlocks(text: string): Block[] {
  const blocks: Block[] = []
  for (const part of text.trim().split(/\n\n+/)) {
    const lines = part.split('\n')
    const at = lines.indexOf('----')
    const head = at < 0 ? lines : lines.slice(0, at)
    blocks.push({
      head,
      commands: head.filter(line => !line.startsWith('#') && line.trim() !== ''),
      golden: at < 0 ? [] : lines.slice(at + 1)
    })
  }
  return blocks
}

function printBlock({ head, commands }: Block, trace: readonly string[]): string {
  return (commands.length === 0 ? head : [...head, '----', ...trace]).join('\n')
}

describe('Raft scripts', () => {
  const files = readdirSync(folder)
    .filter(name => name.endsWith('.txt'))
    .sort()
  for (const name of files) {
    it(name, () => {
      const path = new URL(name, folder)
      const script = new RaftScript()
      const traces: string[] = []
      const blocks = parseBlocks(readFileSync(path, 'utf8'))
      for (const block of blocks) {
        const trace = block.commands.length === 0 ? [] : script.run(block.commands)
        traces.push(printBlock(block, trace))
        if (!update) expect(trace, block.commands.join('\n')).toEqual(block.golden)
      }
      if (update) writeFileSync(path, `${traces.join('\n\n')}\n`)
    })
  }
})
