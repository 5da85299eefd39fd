/**
 * A small SIEM: takes audit events as Splunk's HTTP Event Collector would, each once, and says what somebody should look at.
 *
 *     node examples/siem/collector.mjs 8088 SECRET &
 *     echo SECRET > token
 *     clawmesh audit export --follow --to http://127.0.0.1:8088/services/collector/event --token-file token
 */
import { createServer } from 'node:http'

const [port = '8088', token = ''] = process.argv.slice(2)

/** What is worth a person's time: for a kind of event, what to say of it, or nothing. */
const rules = {
  'action.held': ({ facts }) => `${facts.tool} wants more than its policy grants`,
  'approval.answered': ({ facts }) => `a person said ${facts.answer}`,
  'message.denied': ({ facts }) => `${facts.count ?? 'some'} messages were not let in: ${facts.reason ?? ''}`,
  'actor.crashed': ({ facts }) => `${facts.name} crashed: ${facts.reason}`,
  'node.lost': ({ facts }) => `node ${facts.name} was lost`,
}

const seen = new Set()
const say = (line) => process.stdout.write(`${line}\n`)

const server = createServer(async (request, response) => {
  const answer = (status, code, text) => response.writeHead(status).end(JSON.stringify({ code, text }))
  if (request.headers.authorization !== `Splunk ${token}`) return answer(403, 4, 'Invalid token')
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) body += chunk
  for (const { host, event, fields } of objectsIn(body)) {
    // At least once: what comes again has the same id.
    if (seen.has(fields.id)) continue
    seen.add(fields.id)
    const says = rules[event.kind]?.(event)
    if (says) say(`${event.time} ${host}: ${says}`)
  }
  say(`${seen.size} events`)
  answer(200, 0, 'Success')
})
server.listen(Number(port), '127.0.0.1', () => say(`listening on ${server.address().port}`))

/** JSON objects that follow one another with nothing between them. */
function* objectsIn(text) {
  let start = 0
  let depth = 0
  let quoted = false
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]
    if (quoted) {
      if (character === '\\') at += 1
      else if (character === '"') quoted = false
    } else if (character === '"') quoted = true
    else if (character === '{') depth += 1
    else if (character === '}') depth -= 1
    if (character !== '}' || quoted || depth > 0) continue
    yield JSON.parse(text.slice(start, at + 1))
    start = at + 1
  }
}
