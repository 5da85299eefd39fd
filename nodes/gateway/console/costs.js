/** What the questions to models cost: as they were run, and at the frontier rates of the price table. */
import { columns, pairs } from './chart.js'
import { at, figures, h, pause, tableOf } from './element.js'
import { call } from './gateway.js'

export const route = 'GET /v1/costs'
export const title = 'Costs'

const everyMs = 10_000
const count = (value) => value.toLocaleString()

export async function show(main, signal) {
  const place = h('div')
  main.append(h('h2', {}, title), place)
  let seen = ''
  while (!signal.aborted) {
    const found = await call('/v1/costs')
    const text = JSON.stringify(found)
    if (text !== seen) place.replaceChildren(...partsOf(found))
    seen = text
    await pause(everyMs, signal)
  }
}

function partsOf({ prices, since, sum, unreadable, byModel, byActor, byTime }) {
  if (sum.requests + unreadable === 0) return [h('p', { class: 'soft' }, 'No model was asked yet.')]
  const { currency } = prices
  const money = (value) => `${value.toFixed(value > 0 && value < 0.01 ? 5 : 2)} ${currency}`
  const line = ({ name, ...one }) => [
    name,
    count(one.requests),
    count(one.promptTokens),
    count(one.cachedTokens),
    count(one.outputTokens),
    one.seconds.toFixed(1),
    one.gpuSeconds.toFixed(1),
    money(one.cost),
    money(one.frontier),
  ]
  const head = ['questions', 'prompt', 'cached', 'output', 'seconds', 'on GPUs', 'as run', 'at frontier rates']
  const compared = byModel.map(({ name, cost, frontier }) => ({
    name,
    values: [cost, frontier],
    texts: [money(cost), money(frontier)],
  }))
  return [
    figures({
      questions: count(sum.requests),
      tokens: count(sum.promptTokens + sum.outputTokens),
      'as run': money(sum.cost),
      'at frontier rates': money(sum.frontier),
    }),
    h(
      'div',
      { class: 'charts' },
      columns(
        'Tokens over time',
        byTime.map(({ from, promptTokens, outputTokens }) => {
          const tokens = promptTokens + outputTokens
          return {
            label: new Date(from).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }),
            value: tokens,
            text: `${count(tokens)} tokens`,
          }
        }),
      ),
      pairs('By model', compared, ['as run', 'at frontier rates']),
    ),
    h('h3', {}, 'By model'),
    tableOf('Costs by model', ['model', ...head], byModel.map(line)),
    h('h3', {}, 'By who asked'),
    tableOf('Costs by who asked', ['asked by', ...head], byActor.map(line)),
    h(
      'p',
      { class: 'soft' },
      `Price table ${prices.version}: ${prices.source}. At frontier rates (${prices.frontier}) is a calculation: no such model was asked.`,
      sum.unpriced > 0 ? ` ${sum.unpriced} questions have no price.` : '',
      sum.uncounted > 0 ? ` Of ${sum.uncounted} nobody counted the tokens.` : '',
      unreadable > 0 ? ` ${unreadable} records of the trail could not be read: they are in no sum.` : '',
      ...(since ? [' Older ones than ', at(since), ' are not in it: `clawmesh costs` knows them.'] : []),
    ),
  ]
}
