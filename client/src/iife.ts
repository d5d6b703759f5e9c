export { Echo } from './echo/echo.ts'
export { SsePusher as Pusher } from './pusher/pusher.ts'
