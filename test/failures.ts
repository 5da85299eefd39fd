/** A reporter of Node's test runner: the file of each test that failed, a line each. */
import type { TestEvent } from 'node:test/reporters'

export default async function* failures(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) if (event.type === 'test:fail' && event.data.file) yield `${event.data.file}\n`
}
