const pageSize = 64

/**
 * Numbers by index, in small pages: a list of millions would be copied again and again while it grows, and each copy left to the collector.
 * Indices that are close together share a page; others may be as far away as they like.
 */
export class PagedNumbers {
  readonly #pages = new Map<number, number[]>()

  /** Undefined where nothing was set. */
  get(index: number): number | undefined {
    return this.#pages.get(Math.floor(index / pageSize))?.[index % pageSize]
  }

  /** @param index a safe integer of at least 0. */
  set(index: number, value: number): void {
    const number = Math.floor(index / pageSize)
    let page = this.#pages.get(number)
    if (page === undefined) {
      page = new Array<number>(pageSize)
      this.#pages.set(number, page)
    }
    page[index % pageSize] = value
  }
}
