/**
 * Commands that a message names, as whoever reads it must type them: through npm where this one was, and with the data folder that was named. One between backticks
 * is for here. One that stands bare, after a colon, a parenthesis or "See", is for another machine or another folder, and gets no folder.
 */
import { readTyping } from '../config.js'

/** Commands that are about no mesh; a test compares them with the table. */
const ofNoMesh = /^(service (status|logs|uninstall)|models (list|pull|verify|rm)|(policy|route) test|completion|help)\b/

export function asTyped(text: string, { typedIn, data } = readTyping()): string {
  const program = typedIn === undefined ? 'clawmesh ' : 'npm run clawmesh -- '
  const folder = data === undefined ? '' : ` --data ${inShell(data)}`
  return text
    .replace(/`(clawmesh |npm start -- )([^`]+)`/g, (_, typed: string, words: string) => {
      const isWhole = ofNoMesh.test(words) || /--(data|help)\b/.test(words)
      return `\`${typed === 'clawmesh ' ? program : typed}${words}${isWhole ? '' : folder}\``
    })
    .replace(/(: |\(|See )clawmesh (?=[a-z])/g, `$1${program}`)
}

/** As one word of a command line. */
export const inShell = (word: string): string =>
  /^[\w./~:@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
