/** Where things are, in the units of the picture, which are pixels where it is shown in its full width. */
export interface Frame {
  readonly widthPx: number
  readonly leftPx: number
  readonly rightPx: number
  readonly x: (second: number) => number
}

/** A coordinate, as short as it can be. */
export function at(px: number): string {
  return `${Math.round(px * 10) / 10}`
}
