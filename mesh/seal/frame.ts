/**
 * What crosses the broker: three kinds of frame, all numbers little-endian.
 *
 *     hello    [1][run id of the sender, 16 bytes][first message of the handshake]
 *     welcome  [2][index of the session at its reader, 4 bytes][second message of the handshake]
 *     letter   [3][index of the session at its reader, 4 bytes][counter, 4 bytes][sealed]
 *
 * What a letter says, and what a handshake carries, is sealed. What is in the clear is bound to what is sealed.
 */
import { ClawmeshError } from '../../policies/errors.js'
import { readUint32, writeUint32 } from '../numbers.js'

export interface HelloFrame {
  readonly type: 'hello'
  readonly from: string
  readonly handshake: Uint8Array
}

export interface WelcomeFrame {
  readonly type: 'welcome'
  readonly index: number
  readonly handshake: Uint8Array
}

export interface LetterFrame {
  readonly type: 'letter'
  readonly index: number
  readonly counter: number
  /** What stands before the sealed part: its associated data. */
  readonly head: Uint8Array
  readonly sealed: Uint8Array
}

export type Frame = HelloFrame | WelcomeFrame | LetterFrame

const [hello, welcome, letter] = [1, 2, 3]
const runIdLength = 16
const welcomeHead = 5
const letterHead = 9

export function helloFrame(from: string, handshake: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + runIdLength + handshake.length)
  frame[0] = hello
  frame.set(Buffer.from(from, 'hex'), 1)
  frame.set(handshake, 1 + runIdLength)
  return frame
}

export function welcomeFrame(index: number, handshake: Uint8Array): Uint8Array {
  const frame = new Uint8Array(welcomeHead + handshake.length)
  frame[0] = welcome
  writeUint32(frame, 1, index)
  frame.set(handshake, welcomeHead)
  return frame
}

export function letterHeadOf(index: number, counter: number): Uint8Array {
  const head = new Uint8Array(letterHead)
  head[0] = letter
  writeUint32(head, 1, index)
  writeUint32(head, 5, counter)
  return head
}

export function letterFrame(head: Uint8Array, sealed: Uint8Array): Uint8Array {
  const frame = new Uint8Array(letterHead + sealed.length)
  frame.set(head)
  frame.set(sealed, letterHead)
  return frame
}

/** Throws MESSAGE_INVALID for anything else. */
export function readFrame(bytes: Uint8Array): Frame {
  if (bytes[0] === letter && bytes.length > letterHead) {
    const head = bytes.subarray(0, letterHead)
    const [index, counter] = [readUint32(bytes, 1), readUint32(bytes, 5)]
    return { type: 'letter', index, counter, head, sealed: bytes.subarray(letterHead) }
  }
  if (bytes[0] === welcome && bytes.length > welcomeHead)
    return { type: 'welcome', index: readUint32(bytes, 1), handshake: bytes.subarray(welcomeHead) }
  if (bytes[0] === hello && bytes.length > 1 + runIdLength) {
    const from = Buffer.from(bytes.subarray(1, 1 + runIdLength)).toString('hex')
    return { type: 'hello', from, handshake: bytes.subarray(1 + runIdLength) }
  }
  throw new ClawmeshError('MESSAGE_INVALID', 'A message arrived that is no clawmesh frame.')
}
