/** What people see: colours only where they are wanted, tables, and one JSON document or line for programs. */

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const
export type Colour = keyof typeof codes

/** Colours are for a terminal that can show them; https://no-color.org turns them off. */
export function coloured(stream: NodeJS.WriteStream = process.stdout): boolean {
  const { NO_COLOR, TERM } = process.env
  return stream.isTTY === true && (NO_COLOR ?? '') === '' && TERM !== 'dumb'
}

export function paint(text: string, colour: Colour, on = coloured()): string {
  return on ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text
}

export function print(line = ''): void {
  process.stdout.write(`${line}\n`)
}

/** Progress and hints go to stderr, so that stdout holds only what was asked for. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`)
}

/**
 * A terminal that has gone must not end what cleans up after itself. Whoever reads a pipe may have seen enough, as `head` does: a command
 * that stops in order is asked to, as by a hang-up, and any other ends.
 */
export function outliveTerminal(): void {
  let gone = false
  process.stderr.on('error', () => {})
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (gone || error.code === 'EIO') return
    if (error.code !== 'EPIPE') throw error
    gone = true
    if (process.listenerCount('SIGHUP') > 0) process.emit('SIGHUP', 'SIGHUP')
    else process.exit()
  })
}

/** One document, indented. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2))
}

/** One object of a stream. */
export function printJsonLine(value: unknown): void {
  print(JSON.stringify(value))
}

/** Columns as wide as their widest cell; the head is bold. Numbers are set to the right. */
export function tableLines(head: readonly string[], rows: readonly Cells[]): string[] {
  const text = rows.map(row => row.map(cell => cleanCell(String(cell))))
  const widths = head.map((title, i) =>
    Math.max(title.length, ...text.map(row => width(row[i] ?? '')))
  )
  const right = head.map((_, i) => rows.length > 0 && rows.every(row => typeof row[i] === 'number'))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => {
        const gap = ' '.repeat(widths[i]! - width(cell))
        return right[i] ? gap + cell : cell + gap
      })
      .join('  ')
      .trimEnd()
  return [paint(line(head), 'bold'), ...text.map(line)]
}

export type Cells = readonly (string | number)[]

/** Text from elsewhere (messages, names, errors) must not steer the terminal: control characters become spaces. */
export function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out.
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, ' ')
}

/** The same, but our own colours stay. */
function cleanCell(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out.
  return text.replaceAll(/\u001b(?!\[\d{1,2}m)|[\u0000-\u001a\u001c-\u001f\u007f-\u009f]/g, ' ')
}

/** Characters on the screen: colours take none. */
function width(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape of a colour.
  return text.replaceAll(/\u001b\[\d+m/g, '').length
}

/** 12,345 */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** 3.2 MiB */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** 45 s, 12 min, 3.5 h, 2.1 d */
export function durationText(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 1) return `${Math.round(ms)} ms`
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${(seconds / 3600).toFixed(1)} h`
  return `${(seconds / 86_400).toFixed(1)} d`
}
