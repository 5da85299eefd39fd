/** libsodium, ready to use: importing this module waits for its WebAssembly to load. */
import sodium from 'libsodium-wrappers'

await sodium.ready

export { sodium }
