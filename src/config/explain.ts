import { z } from 'zod'
import { nearest } from './nearest.ts'
import { configSchema } from './schema.ts'

/** One field of the configuration as documentation. */
export interface FieldDoc {
  /** `raft.heartbeatMs`; items of a list as `nodes[].host`, kinds of a role as `nodes[].roles[transfer].tcpPort`. */
  readonly field: string
  readonly about: string
  readonly unit: string
  /** Undefined: the field must be given, or `optional`. */
  readonly initial: string | number | boolean | undefined
  /** It may be left out, and stands for something that is no constant then. */
  readonly optional?: boolean
  /** `1 to 255`, `debug, info, warn or error`; empty when the unit says it all. */
  readonly allowed: string
  readonly tradeOff: string
}

interface JsonSchema {
  readonly properties?: Record<string, JsonSchema>
  readonly items?: JsonSchema
  readonly oneOf?: readonly JsonSchema[]
  readonly enum?: readonly string[]
  readonly const?: string
  readonly default?: string | number | boolean
  readonly minimum?: number
  readonly maximum?: number
  readonly description?: string
  readonly unit?: string
  readonly tradeOff?: string
  readonly optional?: boolean
}

/** Every field, in the order of the schema. */
export function fieldDocs(): FieldDoc[] {
  const docs: FieldDoc[] = []
  collect('', z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema, docs)
  return docs
}

/** The fields named by `name` or below it; `suggestion` when there is none. List marks may be left out (`nodes.host`). */
export function explainField(name: string): {
  readonly docs: readonly FieldDoc[]
  readonly suggestion: string | undefined
} {
  const plain = (field: string) => field.replaceAll(/\[[^\]]*\]/g, '')
  const wanted = plain(name)
  const all = fieldDocs()
  const docs = all.filter(
    doc => plain(doc.field) === wanted || plain(doc.field).startsWith(`${wanted}.`)
  )
  if (docs.length > 0) return { docs, suggestion: undefined }
  const lastPart = (field: string) => field.slice(field.lastIndexOf('.') + 1)
  const lastName = nearest(
    lastPart(wanted),
    all.map(doc => lastPart(doc.field))
  )
  const byLastPart = all.find(doc => lastPart(doc.field) === lastName)
  const near = nearest(
    wanted,
    all.map(doc => plain(doc.field))
  )
  return { docs: [], suggestion: near ?? byLastPart?.field }
}

/** The page docs/configuration.md. */
export function configurationPage(): string {
  const sections = new Map<string, FieldDoc[]>()
  for (const doc of fieldDocs()) {
    const section = doc.field.split(/[.[]/, 1)[0]!
    sections.set(section, [...(sections.get(section) ?? []), doc])
  }
  const parts = [pageHead]
  for (const [section, docs] of sections) {
    parts.push(`## ${section}\n\n${tableHead}\n${docs.map(row).join('\n')}\n`)
  }
  return parts.join('\n')
}

const pageHead = `# Configuration

One YAML file describes the whole cluster; every node reads the same file. \`ringset config check FILE\` judges a file,
\`ringset config explain [FIELD]\` prints what stands here. A wrong file is refused with file, line, field and rule, never
repaired in silence; unknown fields are errors. This page is printed from the schema (\`ringset config explain --markdown\`).
`

const tableHead = `| field | what it is | unit | default | allowed | trade-off |
|---|---|---|---|---|---|`

function row(doc: FieldDoc): string {
  const absent = doc.optional ? 'none' : 'required'
  const initial = doc.initial === undefined ? absent : `\`${doc.initial}\``
  const cells = [`\`${doc.field}\``, doc.about, doc.unit, initial, doc.allowed, doc.tradeOff]
  return `| ${cells.join(' | ')} |`
}

function collect(field: string, schema: JsonSchema, docs: FieldDoc[]): void {
  if (schema.properties !== undefined) {
    for (const [name, child] of Object.entries(schema.properties)) {
      collect(field === '' ? name : `${field}.${name}`, child, docs)
    }
  } else if (schema.items?.oneOf !== undefined) {
    for (const option of schema.items.oneOf) {
      const kind = option.properties?.role?.const ?? ''
      const about = option.description ?? ''
      const tradeOff = schema.tradeOff ?? ''
      const word = { about, unit: 'text', initial: undefined, allowed: kind, tradeOff }
      docs.push({ field: `${field}[${kind}].role`, ...word })
      collect(`${field}[${kind}]`, option, docs)
    }
  } else if (schema.items !== undefined) {
    collect(`${field}[]`, schema.items, docs)
  } else if (schema.const === undefined) {
    docs.push(fieldDoc(field, schema))
  }
}

function fieldDoc(field: string, schema: JsonSchema): FieldDoc {
  return {
    field,
    about: schema.description ?? '',
    unit: schema.unit ?? '',
    initial: schema.default,
    allowed: allowedOf(schema),
    tradeOff: schema.tradeOff ?? '',
    ...(schema.optional ? { optional: true } : {})
  }
}

function allowedOf(schema: JsonSchema): string {
  if (schema.enum !== undefined) return schema.enum.join(', ')
  if (schema.minimum === undefined || schema.maximum === undefined) return ''
  return `${schema.minimum} to ${schema.maximum}`
}
