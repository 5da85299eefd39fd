import { ActionError } from './error.js'
import { add, type Fraction, formatDecimal, invert, multiply, negate, parseDecimal } from './fraction.js'

/**
 * Exact arithmetic by recursive descent:
 *
 *     sum     = product { ('+' | '-') product }
 *     product = factor { ('*' | '/') factor }
 *     factor  = '-' factor | '+' factor | '(' sum ')' | number
 */
export function calculate({ expression }: { expression: string }) {
  const { text, exact } = formatDecimal(evaluate(expression))
  return { value: text, exact, summary: `${expression.trim()} ${exact ? '=' : '≈'} ${text}` }
}

const deepest = 100

function evaluate(expression: string): Fraction {
  if (expression.length > 500) throw new ActionError('The expression is longer than 500 characters.')
  const tokens = tokenize(expression)
  let at = 0
  const value = sum(0)
  if (at < tokens.length) throw new ActionError(`'${tokens[at]}' was not expected in the expression.`)
  return value

  function sum(depth: number): Fraction {
    let value = product(depth)
    for (let sign = take('+', '-'); sign; sign = take('+', '-')) {
      const next = product(depth)
      value = add(value, sign === '-' ? negate(next) : next)
    }
    return value
  }

  function product(depth: number): Fraction {
    let value = factor(depth)
    for (let sign = take('*', '/'); sign; sign = take('*', '/')) {
      const next = sign === '/' ? invert(factor(depth)) : factor(depth)
      if (!next) throw new ActionError('The expression divides by zero.')
      value = multiply(value, next)
    }
    return value
  }

  function factor(depth: number): Fraction {
    if (depth > deepest) throw new ActionError('The expression is nested too deeply.')
    if (take('-')) return negate(factor(depth + 1))
    if (take('+')) return factor(depth + 1)
    if (take('(')) {
      const value = sum(depth + 1)
      if (!take(')')) throw new ActionError('A closing parenthesis is missing.')
      return value
    }
    const number = parseDecimal(tokens[at] ?? '')
    if (!number)
      throw new ActionError(at < tokens.length ? `'${tokens[at]}' is not a number.` : 'The expression ends too early.')
    at++
    return number
  }

  function take(...wanted: string[]): string | undefined {
    const token = tokens[at]
    if (token === undefined || !wanted.includes(token)) return undefined
    at++
    return token
  }
}

function tokenize(expression: string): string[] {
  const tokens = expression.match(/\d+(?:\.\d+)?|\S/g) ?? []
  const odd = tokens.find((token) => !/^(\d.*|[-+*/()])$/.test(token))
  if (odd) throw new ActionError(`'${odd}' has no meaning in arithmetic.`)
  return tokens
}
