/** The part of hashring 3.2 (CommonJS, ships no types) that ring.ts uses. */
declare module 'hashring' {
  class HashRing {
    constructor(
      servers: Readonly<Record<string, { readonly vnodes: number }>>,
      algorithm?: string,
      options?: { readonly 'max cache size'?: number; readonly 'vnode count'?: number }
    )
    get(key: string): string | undefined
  }
  export = HashRing
}
