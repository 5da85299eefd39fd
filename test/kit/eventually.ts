/** Runs an assertion until it holds; throws its last failure when the time is up. */
export async function eventually(holds: () => void | Promise<void>, withinMs = 10_000): Promise<void> {
  const until = performance.now() + withinMs
  for (;;) {
    try {
      return await holds()
    } catch (error) {
      if (performance.now() > until) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
