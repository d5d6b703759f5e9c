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
} from '@laravel/echo-vue'
import { Echo, SsePusher } from 'laravel-echo-sse'
import { useStream } from 'laravel-echo-sse/vue'
import { createSSRApp, h } from 'vue'
import { renderToString } from 'vue/server-renderer'

configureEcho({ broadcaster: 'reverb', key: 'x', Pusher: SsePusher, keepAlive: true })

const app = createSSRApp({
  setup() {
    useEcho('orders.1', '.order.paid', () => {})
    useEchoPublic('orders', 'OrderShipped', () => {})
    useEchoPresence('room.1', 'Announced', () => {})
    useEchoNotification('App.Models.User.1', () => {})
    useEchoModel('App.Models.Post', 5, 'PostDeleted', () => {})
    useChannel('orders.2')
    usePublicChannel('news')
    usePresenceChannel('room.2')
      .channel()
      .here(() => {})
    new Echo().private('orders.1').listen('OrderPaid', () => {})
    const own = useStream(echo())
    const status = useConnectionStatus()
    const socketId = useSocketId()
    return () => h('p', `${status.value}, ${own.status.value}, ${socketId.value}`)
  },
})
report(await renderToString(app))
