import { SsePusher } from './pusher/pusher.ts'

export type { Channel, PresenceChannel } from './pusher/channel.ts'
export type { Connection, ConnectionState } from './pusher/connection.ts'
export type { GlobalListener, Listener, Metadata } from './pusher/dispatcher.ts'
export type { Members } from './pusher/members.ts'
export type { PusherOptions } from './pusher/options.ts'

/** `SsePusher` where the class of pusher-js itself is asked for. */
// biome-ignore lint/suspicious/noExplicitAny: the class of pusher-js has private members, so nothing else can be one.
export const Pusher: any = SsePusher
export type Pusher = SsePusher

export { SsePusher }
export default Pusher
