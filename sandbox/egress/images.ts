/** What the processes of one action began as, told before any of their own code ran. launcher/image.h is the other side, and says what an image is. */
export interface Image {
  /** That it was started in. */
  readonly folder: string
  /** With the program's own name as the first. */
  readonly args: readonly string[]
  /** Names of the variables that had a value. */
  readonly variables: readonly string[]
}

const addressBytes = 8
const lengthBytes = 4

export class Images {
  readonly #images = new Map<string, Image>()

  /** As it came from the worker. What is no text is told as none: nobody could be shown it. */
  told(bytes: Buffer): void {
    const length = bytes.readUInt32LE(addressBytes)
    const text = bytes.subarray(addressBytes + lengthBytes)
    const [folder = '', ...args] = stringsOf(text.subarray(0, length))
    if (!text.equals(Buffer.from(text.toString()))) return
    this.#images.set(bytes.readBigUInt64LE(0).toString(16), {
      folder,
      args,
      variables: stringsOf(text.subarray(length)),
    })
  }

  /** @param image its name, in hex; undefined for one that was not told */
  of(image: string): Image | undefined {
    return this.#images.get(image)
  }
}

/** Each closed by a NUL. */
const stringsOf = (bytes: Buffer): string[] => bytes.toString().split('\0').slice(0, -1)
