import { fetchStream } from '../transports/fetch.ts'
import type { Connection, StreamEnd, StreamRequest } from '../transports/transport.ts'
import { Alarm } from './alarm.ts'

const DEADLINE_MS = 10_000

/** `isWell` is true when the gateway has answered as it should; otherwise `end` may say what is wrong. */
export type OnSeen = (isWell: boolean, end: StreamEnd) => void

/**
 * Asks the gateway for nothing, in a request with an end: no channel, so nobody is asked for a login. It tells a network
 * that is slow from a path that holds streams back, and has the status that EventSource does not tell.
 */
export function probe(request: Omit<StreamRequest, 'parameters'>, onSeen: OnSeen): Connection {
  const deadline = new Alarm()
  let isWell = false
  const end = (seen: StreamEnd) => {
    deadline.clear()
    onSeen(isWell, seen)
  }
  const parameters = Object.entries({ channels: '', mode: 'poll', wait: '0' })
  const connection = fetchStream(
    { ...request, parameters },
    {
      onFrame: (name) => {
        isWell ||= name === 'connected'
      },
      onEnd: end,
    },
  )
  const close = () => {
    deadline.clear()
    connection.close()
  }
  deadline.set(DEADLINE_MS, () => {
    close()
    end({})
  })
  return { close }
}
