/** Whatever a run has named is text, never markup. */
export function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** A time in the unit that suits it; number and unit stay in one line. */
export function duration(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1_000).toFixed(0)}\u00a0s`
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(1)}\u00a0s`
  return `${ms >= 10 || ms === 1 ? ms.toFixed(0) : ms.toFixed(1)}\u00a0ms`
}

export function grouped(value: number): string {
  return value.toLocaleString('en-US')
}

/** `1 fault`, `7 faults`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${grouped(value)} ${value === 1 ? one : many}`
}

export interface Column {
  readonly title: string
  readonly number?: true
}

/** Cells are markup already. On a narrow screen each row is a card, its cells named by their columns. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  style = ''
): string {
  const kind = ({ number }: Column): string => (number ? ' class="number"' : '')
  const head = columns.map(column => `<th${kind(column)}>${escaped(column.title)}</th>`)
  const body = rows.map(cells => {
    const shown = cells.map((cell, i) => {
      const column = columns[i]!
      const empty = cell === '' ? ' data-empty' : ''
      return `<td${kind(column)} data-column="${escaped(column.title)}"${empty}><div>${cell}</div></td>`
    })
    return `<tr>${shown.join('')}</tr>`
  })
  return `<table class="${style}"><thead><tr>${head.join('')}</tr></thead><tbody>${body.join('\n')}</tbody></table>`
}
