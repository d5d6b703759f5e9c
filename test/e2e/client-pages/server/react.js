import {
  configureEcho,
  echo,
  useChannel,
  useConnectionStatus,
  useEcho,
  useEchoModel,
  useEchoNotification,
  useEchoPresence,
  useEchoPublic,
  usePresenceChannel,
  usePublicChannel,
  useSocketId,
} from '@laravel/echo-react'
import { Echo, SsePusher } from 'laravel-echo-sse'
import { useStream } from 'laravel-echo-sse/react'
import { createElement } from 'react'
import { renderToString } from 'react-dom/server'

configureEcho({ broadcaster: 'reverb', key: 'x', Pusher: SsePusher, keepAlive: true })

function Page() {
  useEcho('orders.1', '.order.paid', () => {})
  useEchoPublic('orders', 'OrderShipped', () => {})
  useEchoPresence('room.1', 'Announced', () => {})
  useEchoNotification('App.Models.User.1', () => {})
  useEchoModel('App.Models.Post', 5, 'PostDeleted', () => {})
  useChannel('orders.2')
  usePublicChannel('news')
  usePresenceChannel('room.2')
  // Their effects do not run here, so that nobody would ask for a channel.
  echo()
    .private('orders.1')
    .listen('OrderPaid', () => {})
  new Echo().private('orders.1').listen('OrderPaid', () => {})
  const own = useStream(echo())
  const status = useConnectionStatus()
  const socketId = useSocketId()
  return createElement('p', null, `${status}, ${own.status}, ${socketId}`)
}
report(renderToString(createElement(Page)))
