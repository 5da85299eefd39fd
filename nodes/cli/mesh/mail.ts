/** `clawmesh mail list`: messages that wait for their actor. What they say is for whoever takes them. */
import { waitingMail } from '../../../mesh/mail/serve.js'
import type { Command } from '../command.js'
import { onGround } from '../on-ground.js'
import { dataOption, jsonOption } from '../options.js'
import { printable } from '../printable.js'

export const mailList: Command = {
  name: 'mail list',
  usage: '[--json]',
  help: 'Lists the messages that are kept until their actor has taken them, of a mesh that runs here or that does not: for whom, from which node, how large, until when. The one of a sender and an actor that stands first goes first.',
  options: { data: dataOption, json: jsonOption },
  run: (_, values) =>
    onGround(values, async ({ transport, addresses, authority }) => {
      const store = { bucket: await transport.bucket(addresses.mail), secret: authority.tasksKey }
      const { waiting, unreadable } = await waitingMail(store, authority.root.publicKey)
      const lines = waiting.map(
        ({ id, actor, message, from, bytes, until }) =>
          `${id.slice(0, 12)}  ${message} to ${actor} from ${from}, ${bytes} bytes, until ${new Date(until).toISOString()}`,
      )
      if (unreadable > 0) lines.push(`${unreadable} places hold what does not open; they are left as they are.`)
      process.stdout.write(
        values['json']
          ? `${JSON.stringify({ ok: true, mail: waiting.map((each) => ({ ...each, until: new Date(each.until).toISOString() })), unreadable })}\n`
          : `${printable(lines.join('\n') || 'No mail waits.')}\n`,
      )
    }),
}
