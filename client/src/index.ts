import { Echo } from './echo/echo.ts'

export { Channel, type ChannelError, PresenceChannel, PrivateChannel } from './echo/channel.ts'
export { SseConnector } from './echo/connector.ts'
export { EventFormatter } from './echo/event-formatter.ts'
export type { Axios } from './echo/interceptors.ts'
export type { ConnectionStatus, EchoOptions } from './echo/options.ts'
export { Pusher, type PusherOptions, SsePusher } from './pusher.ts'
export { Echo }
export default Echo
