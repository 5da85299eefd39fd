/** Waits for `work`, and says every `everyMs` for how many seconds it has been waiting. */
export async function sayWhileWaiting<T>(
  work: Promise<T>,
  everyMs: number,
  say: (seconds: number) => void,
): Promise<T> {
  const began = performance.now()
  const timer = setInterval(() => say(Math.round((performance.now() - began) / 1000)), everyMs)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}
