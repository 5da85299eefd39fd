import { ClawmeshError } from '../../policies/errors.js'

/** Aborted, with the reason, by the first signal that asks this process to end. */
export function stopOnSignal(): AbortController {
  const stop = new AbortController()
  const onSignal = (signal: NodeJS.Signals) =>
    stop.abort(
      new ClawmeshError('CANCELLED', `Stopped by ${signal}.`, {
        hint: 'Start again when you like: what was recorded is kept.',
        data: { signal },
      }),
    )
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  return stop
}

/** The same for a command that prints as long as somebody reads. */
export function stopWhenUnread(): AbortSignal {
  const stop = stopOnSignal()
  process.stdout.on('error', () => stop.abort())
  return stop.signal
}

/** Resolves when it is time to end; rejects if that is for something that went wrong. */
export async function untilStopped({ signal }: AbortController): Promise<void> {
  if (!signal.aborted)
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  const reason = ClawmeshError.from(signal.reason)
  if (reason.code !== 'CANCELLED') throw reason
}
