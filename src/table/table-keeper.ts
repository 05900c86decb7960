import type { TableView } from './table-view.ts'

/**
 * `adopted`: strictly newer, now in force · `same` / `older`: nothing to do · `conflict`: same epoch, other content — the old one is kept
 * and an alarm is due (E-3) · `foreign`: another cluster id · `malformed`: not a table · `gap`: a delta
 * on a table that is not at hand; the whole one has to be asked for.
 */
export type Adoption = 'adopted' | 'same' | 'older' | 'conflict' | 'foreign' | 'malformed' | 'gap'

/** The one routing table of a process, shared by its roles and links. Adopting and acting on it are one step (E-8): listeners run inside. */
export interface TableKeeper {
  view(): TableView
  /** @param encoded bytes as `TableView.encoded`, or as `updateFrom` makes them; hostile input is answered, never thrown. */
  adopt(encoded: Buffer): Adoption
  /** The bytes that bring somebody from an older epoch to the present table: a delta where that is known and shorter, else the table. */
  updateFrom(epoch: number): Buffer
  /** Called inside `adopt`, after the new table is in force. */
  onAdopted(listener: (view: TableView) => void): void
}
