import { commandMs, type Host } from './host.js'

/** What a look at a machine takes at most, whatever its programs do: a node starts behind it. */
const lookMs = 10_000

/** A machine for one look at it: its programs answer within the time of all of them, and one that once did not answer in its own is not asked again. */
export function oneLook(host: Host): Host {
  const end = performance.now() + lookMs
  const silent = new Set<string>()
  const output: Host['output'] = (command, ...args) =>
    new Promise((resolve, reject) => {
      const left = end - performance.now()
      if (left <= 0 || silent.has(command)) return resolve(undefined)
      const giveUp = (): void => {
        silent.add(command)
        resolve(undefined)
      }
      // Set before the host sets its own, which then does not come first: what that ended would look like a failure.
      const timer = setTimeout(giveUp, Math.min(commandMs, left))
      host
        .output(command, ...args)
        .then(resolve, reject)
        .finally(() => clearTimeout(timer))
    })
  return { ...host, output }
}
