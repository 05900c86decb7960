/**
 * The layers of src/, one row a folder: what it may import. Anything else is an error, type imports included.
 * docs/architecture.md shows the same table; test/tidy compares them.
 */
const layers = {
  base: [],
  table: ['base'],
  protocol: ['base', 'table'],
  raft: ['base'],
  check: ['base'],
  route: ['base', 'table', 'protocol'],
  router: ['base', 'table', 'protocol', 'raft', 'route'],
  arbiter: ['base', 'table', 'protocol', 'raft'],
  logic: ['base', 'table', 'protocol', 'route'],
  transfer: ['base', 'table', 'protocol', 'route'],
  storage: ['base', 'raft'],
  net: ['base', 'table', 'protocol', 'transfer'],
  observe: ['base'],
  config: ['base', 'table'],
  gen: [],
  control: ['base', 'table', 'gen'],
  client: ['base', 'table', 'protocol', 'route', 'net'],
  launch: ['base', 'config', 'control'],
  host: [
    'base',
    'table',
    'protocol',
    'raft',
    'route',
    'router',
    'arbiter',
    'logic',
    'transfer',
    'storage',
    'net',
    'observe',
    'config',
    'control'
  ],
  bench: [
    'base',
    'table',
    'protocol',
    'route',
    'client',
    'net',
    'config',
    'control',
    'launch',
    'raft',
    'storage'
  ],
  sim: [
    'base',
    'table',
    'protocol',
    'raft',
    'route',
    'router',
    'arbiter',
    'logic',
    'transfer',
    'storage',
    'check',
    'client'
  ],
  chaos: ['base', 'table', 'protocol', 'config', 'control', 'client', 'launch', 'check'],
  roll: ['base', 'table', 'config', 'control', 'launch', 'chaos'],
  doctor: ['base', 'table', 'config', 'control', 'launch']
}

/** One home per npm package and Node module. */
const homes = {
  'classic-level': ['storage'],
  '@grpc/grpc-js': ['control', 'gen'],
  '@bufbuild/protobuf': ['gen'],
  zod: ['config', 'chaos'],
  yaml: ['config', 'chaos'],
  pino: ['observe'],
  'prom-client': ['observe'],
  hashring: ['table'],
  'hdr-histogram-js': ['bench']
}

const pure = [
  'base',
  'table',
  'protocol',
  'raft',
  'check',
  'route',
  'router',
  'arbiter',
  'logic',
  'transfer',
  'sim'
]
const source = folder => `^src/${folder}/(?!.*\\.test\\.ts$)`

module.exports = {
  forbidden: [
    // Between folders the layers above leave no room for a cycle of any kind; within one, parts of a whole may name its type.
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } }
    },
    ...Object.entries(layers).map(([folder, allowed]) => ({
      name: `layer-${folder}`,
      severity: 'error',
      from: { path: source(folder) },
      to: { path: '^(src|cmd|test)/', pathNot: `^src/(${[folder, ...allowed].join('|')})/` }
    })),
    ...Object.entries(homes).map(([name, folders]) => ({
      name: `home-of-${name}`,
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(${folders.join('|')})/|\\.test\\.ts$` },
      to: { path: `^node_modules/${name}/` }
    })),
    {
      name: 'pure-folders-know-no-node-modules',
      severity: 'error',
      from: { path: `^src/(${pure.join('|')})/`, pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core'] }
    },
    {
      name: 'nobody-imports-cmd',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^cmd/' }
    },
    {
      name: 'no-unknown-folder',
      severity: 'error',
      from: { path: `^src/(?!(${Object.keys(layers).join('|')})/)` },
      to: {}
    }
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types']
    }
  }
}
