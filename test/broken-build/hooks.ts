import type { ResolveHook } from 'node:module'

/** Which module gets which other one in place of what it asks for. */
const standIns = [
  { importer: '/src/host/roles.js', asked: '../raft/replica.js', given: './replica.js' },
  { importer: '/src/host/roles.js', asked: '../transfer/transfer.js', given: './transfer.js' },
  {
    importer: '/src/host/node.js',
    asked: '../table/create-table-keeper.js',
    given: './create-table-keeper.js'
  }
]

export const resolve: ResolveHook = (specifier, context, nextResolve) => {
  const found = standIns.find(
    ({ importer, asked }) => asked === specifier && context.parentURL?.endsWith(importer)
  )
  if (found === undefined) return nextResolve(specifier, context)
  return nextResolve(new URL(found.given, import.meta.url).href, context)
}
