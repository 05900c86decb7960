import { readFileSync, statSync } from 'node:fs'
import { isNode, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { RingsetError } from '../base/errors.ts'
import { nearest } from './nearest.ts'
import { type FieldPath, fieldName, type Violation, violations } from './rules.ts'
import { type ClusterConfig, configSchema } from './schema.ts'
import { zoneWarnings } from './zone-rules.ts'

/** One broken rule, and where. `line` and `column` count from 1; 0 when the configuration did not come from text. */
export interface ConfigProblem {
  readonly line: number
  readonly column: number
  /** `nodes[2].roles[0].tcpPort`; empty for the whole file. */
  readonly field: string
  readonly rule: string
  readonly text: string
}

export interface ConfigVerdict {
  /** Present when there is no problem. */
  readonly config: ClusterConfig | undefined
  /** By place in the file. */
  readonly problems: readonly ConfigProblem[]
  /** What is allowed and hardly meant; none while there are problems. */
  readonly warnings: readonly ConfigProblem[]
}

const maxFileBytes = 4 * 1024 * 1024

/** Reads a configuration file. Throws CONFIG_INVALID that names every problem by file, line, field and rule. */
export function loadConfig(path: string): ClusterConfig {
  return accept(path, checkConfigText(readConfig(path)))
}

/** Checks a value that did not come from a file. @param name stands where the file would be named. */
export function parseConfig(value: unknown, name = '(config)'): ClusterConfig {
  return accept(
    name,
    judge(value, () => [0, 0])
  )
}

/** The text of a configuration file. Throws CONFIG_INVALID when it cannot be read or is absurdly large. */
export function readConfig(path: string): string {
  try {
    const { size } = statSync(path)
    if (size > maxFileBytes) {
      throw new RingsetError('CONFIG_INVALID', `${path}: is over ${maxFileBytes} bytes`)
    }
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof RingsetError) throw error
    const reason = (error as NodeJS.ErrnoException).code ?? String(error)
    throw new RingsetError(
      'CONFIG_INVALID',
      `${path}: cannot be read (${reason})`,
      { file: path },
      error
    )
  }
}

/** Judges the text of a configuration file without throwing. */
export function checkConfigText(text: string): ConfigVerdict {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number): [number, number] => {
    const { line, col } = lines.linePos(offset)
    return [line, col]
  }
  const broken = [...document.errors, ...document.warnings]
  if (broken.length > 0) {
    const problems = broken.map(error =>
      problem(at(error.pos[0]), [], 'yaml', firstLine(error.message))
    )
    return { config: undefined, problems, warnings: [] }
  }
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    const problems = [problem([1, 1], [], 'yaml', firstLine(String(error)))]
    return { config: undefined, problems, warnings: [] }
  }
  return judge(value, (path, isKey) => at(offsetOf(document, path, isKey)))
}

type Locate = (path: FieldPath, isKey: boolean) => [number, number]

function judge(value: unknown, locate: Locate): ConfigVerdict {
  const parsed = configSchema.safeParse(value)
  const problems: ConfigProblem[] = []
  if (parsed.success) {
    problems.push(...ruleProblems(violations(parsed.data), locate))
  } else {
    for (const issue of parsed.error.issues) problems.push(...issueProblems(issue, value, locate))
    const rest = configSchema.safeParse(withoutUnknownKeys(value, parsed.error.issues))
    if (rest.success) problems.push(...ruleProblems(violations(rest.data), locate))
  }
  problems.sort((a, b) => a.line - b.line || a.column - b.column)
  if (parsed.data === undefined || problems.length > 0) {
    return { config: undefined, problems, warnings: [] }
  }
  const config = parsed.data
  return { config, problems, warnings: ruleProblems(zoneWarnings(config), locate) }
}

function ruleProblems(broken: readonly Violation[], locate: Locate): ConfigProblem[] {
  return broken.map(({ path, rule, text }) => problem(locate(path, false), path, rule, text))
}

type Issue = z.core.$ZodIssue

function issueProblems(issue: Issue, value: unknown, locate: Locate): ConfigProblem[] {
  const path = issue.path as FieldPath
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => {
      const suggestion = nearest(key, siblings(issue.path, value))
      const text =
        suggestion === undefined ? 'is unknown' : `is unknown; did you mean ${suggestion}?`
      return problem(locate([...path, key], true), [...path, key], 'unknown-field', text)
    })
  }
  const missing = issue.code === 'invalid_type' && valueAt(value, path) === undefined
  if (missing) return [problem(locate(path, false), path, 'required', 'is missing')]
  return [problem(locate(path, false), path, issue.code.replaceAll('_', '-'), issueText(issue))]
}

function issueText(issue: Issue): string {
  switch (issue.code) {
    case 'too_small':
      return issue.origin === 'array'
        ? `must have at least ${issue.minimum}`
        : `must be at least ${issue.minimum}`
    case 'too_big':
      return issue.origin === 'array'
        ? `must have at most ${issue.maximum}`
        : `must be at most ${issue.maximum}`
    case 'invalid_type':
      return `must be ${issue.expected}`
    case 'invalid_value':
      return `must be ${issue.values.join(' or ')}`
    case 'invalid_union':
      return 'must be router, transfer, logic or arbiter'
    default:
      return issue.message
  }
}

/** The names that are allowed where an unknown one stood: asks the schema what it would accept there. */
function siblings(path: readonly PropertyKey[], value: unknown): string[] {
  let schema: unknown = configSchema
  path.forEach((part, i) => {
    schema = childSchema(schema, part, valueAt(value, path.slice(0, i + 1)))
  })
  return Object.keys(shapeOf(schema) ?? {})
}

interface SchemaShape {
  readonly def?: {
    readonly shape?: Record<string, unknown>
    readonly innerType?: unknown
    readonly element?: unknown
    readonly options?: readonly unknown[]
  }
}

function shapeOf(schema: unknown): Record<string, unknown> | undefined {
  const def = (schema as SchemaShape | undefined)?.def
  return def?.shape ?? (def?.innerType === undefined ? undefined : shapeOf(def.innerType))
}

function childSchema(schema: unknown, part: PropertyKey, value: unknown): unknown {
  const def = (schema as SchemaShape | undefined)?.def
  if (def === undefined) return undefined
  if (def.innerType !== undefined) return childSchema(def.innerType, part, value)
  if (def.shape !== undefined) return def.shape[String(part)]
  if (def.element === undefined) return undefined
  const options = (def.element as SchemaShape).def?.options
  if (options === undefined) return def.element
  const kind = (value as { role?: unknown } | undefined)?.role
  return options.find(option => {
    const word = shapeOf(option)?.role as { value?: unknown } | undefined
    return word?.value === kind
  })
}

function withoutUnknownKeys(value: unknown, issues: readonly Issue[]): unknown {
  const copy = structuredClone(value)
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue
    const holder = valueAt(copy, issue.path as FieldPath) as Record<string, unknown>
    for (const key of issue.keys) delete holder[key]
  }
  return copy
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value
  for (const part of path) at = (at as Record<PropertyKey, unknown> | null | undefined)?.[part]
  return at
}

/** Where a field stands; for one that is missing, where its nearest ancestor stands. */
function offsetOf(
  document: ReturnType<typeof parseDocument>,
  path: FieldPath,
  isKey: boolean
): number {
  if (isKey) {
    const holder = document.getIn(path.slice(0, -1), true)
    const items = (holder as { items?: { key?: unknown }[] } | undefined)?.items ?? []
    for (const { key } of items) {
      if (isNode(key) && String(key) === String(path.at(-1)) && key.range) return key.range[0]
    }
  }
  for (let depth = path.length; depth >= 0; depth--) {
    const found = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true)
    if (isNode(found) && found.range) return found.range[0]
  }
  return 0
}

function problem(
  place: [number, number],
  path: FieldPath,
  rule: string,
  text: string
): ConfigProblem {
  return { line: place[0], column: place[1], field: fieldName(path), rule, text }
}

/** `line:column field text [rule]`, as `config check` and CONFIG_INVALID print it. */
export function describeProblem(file: string, found: ConfigProblem): string {
  const place = found.line === 0 ? file : `${file}:${found.line}:${found.column}`
  const field = found.field === '' ? '' : ` ${found.field}`
  return `${place}:${field} ${found.text} [${found.rule}]`
}

function accept(file: string, verdict: ConfigVerdict): ClusterConfig {
  if (verdict.config !== undefined) return verdict.config
  const first = verdict.problems[0]!
  const { line, field, rule } = first
  throw new RingsetError(
    'CONFIG_INVALID',
    verdict.problems.map(found => describeProblem(file, found)).join('\n'),
    { file, line, field, rule, problems: verdict.problems.length }
  )
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0]!
}
