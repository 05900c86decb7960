/** Cuts a line to `columns` characters on the screen; colours take no room and are closed. */
export function cutLine(line: string, columns: number): string {
  let shown = 0
  let cut = ''
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape of a colour.
  for (const part of line.split(/(\u001b\[\d+m)/)) {
    if (part.startsWith('\u001b[')) cut += part
    else {
      cut += part.slice(0, columns - shown)
      shown = Math.min(columns, shown + part.length)
    }
  }
  return cut
}
