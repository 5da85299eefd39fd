/**
 * A node of the mesh that runs on this machine, with an actor that has an effect when it is asked: a line in a file.
 *
 *     node crash-worker.js DATA FOLDER          says "ready", and stays until it is killed
 */
import { appendFileSync, closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { actor, on } from '../../mesh/actor/actor.js'
import { message } from '../../mesh/actor/message.js'
import { openLiveGround } from '../../nodes/authority/live.js'
import { joinAsGuest } from '../../nodes/member/guest.js'
import { Doom } from './doom.js'

export const HaveEffect = message('crash.effect', { request: z.number(), reply: z.number() })
export const effectsFile = (folder: string) => join(folder, 'effects')

async function work([data = '', folder = '']: string[]): Promise<void> {
  const ground = await openLiveGround(data)
  if (!ground) throw new Error('no mesh runs')
  const { node } = await joinAsGuest(ground, data, ['worker'])
  const doom = new Doom(folder)
  const effects = actor('effects', () => [
    on(HaveEffect, async (step) => {
      await doom.at(step, 'before its effect')
      const file = openSync(effectsFile(folder), 'a')
      writeSync(file, `${step}\n`)
      fsyncSync(file)
      closeSync(file)
      await doom.at(step, 'after its effect')
      return step
    }),
  ])
  // The name is its dead predecessor's until that one is known to be lost.
  for (let isMine = false; !isMine; )
    isMine = await node.spawn(effects).then(
      () => true,
      () => new Promise((resolve) => setTimeout(resolve, 100, false)),
    )
  appendFileSync(1, 'ready\n')
}

if (process.argv[1]?.endsWith('crash-worker.js')) await work(process.argv.slice(2))
