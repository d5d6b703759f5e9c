import { useEffect, useState } from 'react'
import { followStream, NO_STREAM, type StreamInfo, type StreamSource } from './pusher/stream-info.ts'

export type { StreamInfo, StreamSource }

/** How the stream is doing. Without a source (`echo()`), of the client made last when the component mounts. */
export function useStream(source?: StreamSource): StreamInfo {
  const [info, setInfo] = useState(NO_STREAM)
  useEffect(() => followStream(source, setInfo), [source])
  return info
}
