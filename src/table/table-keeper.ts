import type { TableView } from './table-view.ts'

/**
 * `adopted`: strictly newer, now in force · `same` / `older`: nothing to do · `conflict`: same epoch, other content — the old one is kept
 * and an alarm is due (E-3) · `foreign`: another cluster id · `malformed`: not a table.
 */
export type Adoption = 'adopted' | 'same' | 'older' | 'conflict' | 'foreign' | 'malformed'

/** The one routing table of a process, shared by its roles and links. Adopting and acting on it are one step (E-8): listeners run inside. */
export interface TableKeeper {
  view(): TableView
  /** @param encoded bytes as `TableView.encoded`; hostile input is answered, never thrown. */
  adopt(encoded: Buffer): Adoption
  /** Called inside `adopt`, after the new table is in force. */
  onAdopted(listener: (view: TableView) => void): void
}
