import type { ReplicaId } from '../../src/raft/types.ts'

/** One line of a script: `verb word … key=value key=(1,2)`. */
export interface Command {
  readonly verb: string
  readonly words: readonly string[]
  readonly options: ReadonlyMap<string, string>
}

export function parse(line: string): Command {
  const tokens = line.match(/[^\s=]+=\([^)]*\)|\S+/g) ?? []
  const words: string[] = []
  const options = new Map<string, string>()
  for (const token of tokens) {
    const at = token.indexOf('=')
    if (at > 0) options.set(token.slice(0, at), token.slice(at + 1))
    else words.push(token)
  }
  return { verb: words.shift() ?? '', words, options }
}

export function ids(text: string | undefined): ReplicaId[] {
  const inner = (text ?? '').replace(/[()]/g, '').trim()
  return inner === '' ? [] : inner.split(/[\s,]+/).map(Number)
}
