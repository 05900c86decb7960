import { register } from 'node:module'

// Drills and commands are as they are; only the nodes that a drill starts are broken.
const [, , command, verb] = process.argv
if (command === 'node' && verb === 'run') register('./hooks.js', import.meta.url)
