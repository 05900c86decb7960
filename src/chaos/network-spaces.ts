import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { promisify } from 'node:util'
import { RingsetError } from '../base/errors.ts'
import { isOwnerDead, killAll, ownerStem } from './dead-drills.ts'
import { fed } from './fed.ts'

const run = promisify(execFile)
const namesFolder = '/run/netns'
const prefix = 'ringset'
const hubDevice = 'br0'
/** Addresses for tests of networks (RFC 2544): 512 networks of 254. */
const networks = 512

/** Where packets leave: a network namespace (undefined: this process's own) and a device in it. */
export interface Place {
  readonly space: string | undefined
  readonly device: string
  readonly address: string
}

/**
 * A network namespace for each node of a drill, joined by a bridge in one more, to which this process has a line, too. Their names carry the id
 * and the start of this process, by which those of a dead one are known.
 */
export class NetworkSpaces {
  readonly #stem = `${prefix}-${ownerStem(process.pid)}-`
  readonly #device = `rs${process.pid}`
  readonly #places = new Map<string, Place>()
  #network = ''
  #devices = 0

  private constructor() {}

  /** Throws DRILL_UNABLE, and leaves nothing behind then. */
  static async create(nodeIds: readonly string[]): Promise<NetworkSpaces> {
    mustBeAble()
    const spaces = new NetworkSpaces()
    try {
      await spaces.#create(nodeIds)
    } catch (error) {
      await spaces.destroy()
      throw error
    }
    return spaces
  }

  /** This process's end. */
  get own(): Place {
    return { space: undefined, device: this.#device, address: `${this.#network}.1` }
  }

  /** A node's end. */
  place(nodeId: string): Place {
    return this.#places.get(nodeId)!
  }

  /** What a command of the node is to be preceded by. */
  enter(nodeId: string): readonly string[] {
    return ['ip', 'netns', 'exec', this.place(nodeId).space!]
  }

  /** Throws DRILL_UNABLE when the kernel does not know such a queue. @param words `netem delay 1ms`, for instance. */
  async mustKnow(words: string, purpose: string): Promise<void> {
    const hub = this.#space('hub')
    try {
      await run('tc', ['-n', hub, 'qdisc', 'add', 'dev', 'lo', 'root', ...words.split(' ')])
      await run('tc', ['-n', hub, 'qdisc', 'del', 'dev', 'lo', 'root'])
    } catch (error) {
      const queue = words.split(' ')[0]
      const text = `${purpose} with --netns needs tc and the kernel's ${queue}: ${reasonOf(error)}`
      throw new RingsetError('DRILL_UNABLE', text, {}, error)
    }
  }

  /** What the bridge does with what it forwards from now on. @param rules for `nft -f`. */
  async filter(rules: string): Promise<void> {
    await fed('ip', ['netns', 'exec', this.#space('hub'), 'nft', '-f', '-'], rules)
  }

  /** Throws DRILL_UNABLE when there is no nft, or the kernel does not know such rules; else they are in force. */
  async mustFilter(rules: string, purpose: string): Promise<void> {
    try {
      await this.filter(rules)
    } catch (error) {
      const text = `${purpose} with --netns needs nftables: ${reasonOf(error)}`
      throw new RingsetError('DRILL_UNABLE', text, {}, error)
    }
  }

  /** All namespaces and devices are gone. The processes in them have ended before. */
  async destroy(): Promise<void> {
    await run('ip', ['link', 'del', this.#device]).catch(() => {})
    for (const name of spaceNames()) if (name.startsWith(this.#stem)) await remove(name)
  }

  async #create(nodeIds: readonly string[]): Promise<void> {
    this.#network = await freeNetwork()
    const hub = this.#space('hub')
    await ip(['netns', 'add', hub])
    await ip(['-n', hub, 'link', 'add', hubDevice, 'type', 'bridge'])
    await ip(['-n', hub, 'link', 'set', 'lo', 'up'])
    await ip(['-n', hub, 'link', 'set', hubDevice, 'up'])
    await this.#join(this.own)
    for (const [i, id] of nodeIds.entries()) {
      const space = this.#space(id)
      const place = { space, device: 'eth0', address: `${this.#network}.${i + 2}` }
      await ip(['netns', 'add', space])
      await ip(['-n', space, 'link', 'set', 'lo', 'up'])
      await this.#join(place)
      this.#places.set(id, place)
    }
  }

  /** A line from a place to the bridge. */
  async #join({ space, device, address }: Place): Promise<void> {
    const hub = this.#space('hub')
    const port = `p${++this.#devices}`
    const there = space === undefined ? [] : ['netns', space]
    const inside = space === undefined ? [] : ['-n', space]
    const peer = ['type', 'veth', 'peer', 'name', port, 'netns', hub]
    await ip(['link', 'add', device, ...there, ...peer])
    await ip(['-n', hub, 'link', 'set', port, 'master', hubDevice, 'up'])
    await ip([...inside, 'addr', 'add', `${address}/24`, 'dev', device])
    await ip([...inside, 'link', 'set', device, 'up'])
  }

  #space(name: string): string {
    return `${this.#stem}${name}`
  }
}

/** Removes the namespaces of drills that are dead, with the processes in them. */
export async function sweepSpaces(): Promise<void> {
  for (const name of spaceNames()) {
    const [, stem] = /^ringset-(\d+-\d+)-/.exec(name) ?? []
    if (stem === undefined || !isOwnerDead(stem)) continue
    const { stdout } = await run('ip', ['netns', 'pids', name]).catch(() => ({ stdout: '' }))
    const pids = stdout.split('\n').filter(line => line !== '')
    await killAll(pids.map(Number))
    await remove(name)
  }
}

function spaceNames(): string[] {
  try {
    return readdirSync(namesFolder).filter(name => name.startsWith(`${prefix}-`))
  } catch {
    return []
  }
}

function mustBeAble(): void {
  const missing =
    process.platform !== 'linux'
      ? 'this is not Linux'
      : process.getuid?.() === 0
        ? undefined
        : 'this is not root'
  if (missing === undefined) return
  throw new RingsetError('DRILL_UNABLE', `--netns takes Linux, root and iproute2: ${missing}`)
}

async function ip(words: readonly string[]): Promise<void> {
  try {
    await run('ip', [...words])
  } catch (error) {
    const text = `--netns takes Linux, root and iproute2: ip ${words.join(' ')}: ${reasonOf(error)}`
    throw new RingsetError('DRILL_UNABLE', text, {}, error)
  }
}

async function remove(name: string): Promise<void> {
  await run('ip', ['netns', 'del', name]).catch(() => {})
}

function reasonOf(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string }
  const [line] = (stderr ?? '').split('\n').filter(text => text.trim() !== '')
  return line ?? message
}

/** One that no interface of this machine is in. */
async function freeNetwork(): Promise<string> {
  const { stdout } = await run('ip', ['-o', '-4', 'addr']).catch(() => ({ stdout: '' }))
  for (let i = 0; i < networks; i++) {
    const number = (process.pid + i) % networks
    const network = `198.${18 + (number >> 8)}.${number & 255}`
    if (!stdout.includes(` ${network}.`)) return network
  }
  throw new RingsetError('DRILL_UNABLE', '--netns finds no network of 198.18.0.0/15 that is free')
}
