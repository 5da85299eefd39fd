/** Debates side by side: each voter a column, each round a row, as the audit trail has them. */
import { at, h, say } from './element.js'
import { call, follow } from './gateway.js'

export const route = 'GET /v1/audit'
export const title = 'Debates'

const shownMost = 30

export async function show(main, signal) {
  const list = h('div', { class: 'stack' })
  const none = h('p', { class: 'soft' }, 'Nobody has debated yet.')
  main.append(h('h2', {}, title), none, list)
  const debates = new Map()
  const draw = (trace) => {
    const { card, events } = debates.get(trace)
    card.replaceChildren(...cardOf(events))
    none.hidden = true
  }
  const take = (event) => {
    const { trace, kind, actor } = event
    if (kind === 'debate.opened' && !debates.has(trace)) {
      const card = h('article', { class: 'card debate' })
      debates.set(trace, { card, events: [] })
      list.prepend(card)
      while (list.children.length > shownMost) list.lastElementChild.remove()
    }
    const isOf = kind.startsWith('debate.') || (kind === 'vote.decided' && actor === 'debate')
    if (!isOf || !debates.has(trace)) return
    debates.get(trace).events.push(event)
    draw(trace)
  }
  const [debated, voted] = await Promise.all(
    ['debate', 'vote.decided'].map((kind) => call(`/v1/audit?${new URLSearchParams({ kind, limit: '1000' })}`)),
  )
  for (const event of [...debated.events, ...voted.events].sort((a, b) => a.time.localeCompare(b.time))) take(event)
  const last = [...debated.events, ...voted.events].map(({ id }) => id)
  await follow('/v1/audit/events', (event) => last.includes(event.id) || take(event), signal).catch((error) =>
    say(error.message),
  )
}

function cardOf(events) {
  const opened = events.find(({ kind }) => kind === 'debate.opened')
  // Whom it is about may have been erased, before this was looked at or since.
  const [gone] = events.filter(({ facts }) => facts.erased || facts.unreadable)
  if (gone) {
    const what = gone.facts.erased ? 'Erased' : 'It cannot be read'
    return [h('h3', {}, what), h('p', { class: 'soft' }, at(opened.time))]
  }
  const outcome = events.find(({ kind }) => kind === 'vote.decided')?.facts
  const rounds = events.filter(({ kind }) => kind === 'debate.round').map(({ facts }) => facts)
  const lost = events.filter(({ kind }) => kind === 'debate.lost').map(({ facts }) => facts)
  const { question, voters, topology, vote } = opened.facts
  const won = outcome?.answer
  return [
    h('h3', {}, question),
    h(
      'p',
      { class: 'soft' },
      at(opened.time),
      ` · ${voters.length} voters, ${typeof topology === 'string' ? topology : 'sparse'}, ${vote}`,
    ),
    h(
      'p',
      {},
      outcome ? h('strong', { class: won === null ? 'bad' : 'good' }, won === null ? 'No outcome' : won) : 'under way',
      outcome ? ` ${outcome.reason ?? ''}${outcome.tokens ? ` · ${outcome.tokens} tokens` : ''}` : '',
    ),
    h(
      'div',
      { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `Votes on ${question}` },
      h(
        'table',
        { class: 'votes' },
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            h('th', { scope: 'col' }, 'round'),
            voters.map(({ name, model }) => h('th', { scope: 'col' }, name, h('span', { class: 'soft' }, model))),
          ),
        ),
        h(
          'tbody',
          {},
          rounds.map(({ round, votes }) => rowOf(round, votes, voters, lost, won)),
        ),
      ),
    ),
  ]
}

const rowOf = (round, votes, voters, lost, won) =>
  h(
    'tr',
    {},
    h('th', { scope: 'row' }, round),
    voters.map(({ name }) => {
      const vote = votes.find(({ voter }) => voter === name)
      if (!vote)
        return h(
          'td',
          { class: 'soft' },
          lost.find((one) => one.voter === name && one.round === round)?.reason ?? 'no vote',
        )
      const { answer, confidence, reason } = vote
      return h(
        'td',
        { class: answer === won ? 'with' : '' },
        h('strong', {}, answer),
        h('meter', { min: 0, max: 1, value: confidence, 'aria-label': `confidence ${Math.round(confidence * 100)} %` }),
        h('p', { class: 'soft' }, reason),
      )
    }),
  )
