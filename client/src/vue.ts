import { onMounted, onUnmounted, type Ref, readonly, shallowReactive, toRefs } from 'vue'
import { followStream, NO_STREAM, type StreamInfo, type StreamSource } from './pusher/stream-info.ts'

export type { StreamInfo, StreamSource }

/** How the stream is doing, as refs. Without a source (`echo()`), of the client made last when the component mounts. */
export function useStream(source?: StreamSource): {
  readonly [Name in keyof StreamInfo]: Readonly<Ref<StreamInfo[Name]>>
} {
  const info = shallowReactive({ ...NO_STREAM })
  let unfollow = () => {}
  onMounted(() => {
    unfollow = followStream(source, (now) => Object.assign(info, now))
  })
  onUnmounted(() => unfollow())
  return toRefs(readonly(info))
}
