/** Whose is the file of a Unix socket? Only a dead one is replaced, and only this process's own is removed. */

import { lstatSync, renameSync, rmSync } from 'node:fs'
import { connect, type Server } from 'node:net'

/** Makes room to listen at `path`; rejects when a file or somebody who listens is there. */
export async function makeRoom(path: string): Promise<void> {
  const found = look(path)
  if (found === undefined) return
  if (!found.isSocket()) throw new Error(`\`--socket\` ${path} is a file, not a socket; choose another path.`)
  if (await isServed(path)) {
    const sentence = `${path} is taken by another process; stop it or choose another --socket.`
    throw Object.assign(new Error(sentence), { code: 'EADDRINUSE' })
  }
  // Another gateway that starts at this moment may have put its own there meanwhile.
  if (look(path)?.ino === found.ino) rmSync(path, { force: true })
}

/**
 * Call once `server` listens at `path`. Closing a server removes whatever lies at its path (libuv `uv__pipe_close`);
 * from here on that spares a socket which another process put there after this one's was deleted.
 */
export function spareSuccessor(server: Server, path: string): void {
  const own = look(path)
  const close = server.close.bind(server)
  server.close = (done) => {
    const found = look(path)
    const isOther = server.listening && found !== undefined && found.ino !== own?.ino
    const putBack = isOther ? putAside(path) : null
    close(done)
    putBack?.()
    return server
  }
}

function look(path: string) {
  return lstatSync(path, { throwIfNoEntry: false })
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false)
      // Somebody listens, with a full queue.
      else if (error.code === 'EAGAIN') resolve(true)
      else reject(error)
    })
  })
}

// Who may not rename in this folder may not delete there either, so nothing needs sparing.
function putAside(path: string): (() => void) | null {
  const aside = `${path}.${process.pid}`
  try {
    renameSync(path, aside)
    return () => renameSync(aside, path)
  } catch {
    return null
  }
}
