import {
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
import { useEffect } from 'react'

export function Board({ room }) {
  useEcho('orders.1', '.order.paid', telling('private'))
  useEchoPublic('orders', ['OrderShipped', 'Announced'], telling('public'))
  useEchoPresence(room, 'Announced', telling('presence'))
  useEchoNotification('App.Models.User.1', telling('notification'), 'App.Notifications.InvoicePaid')
  useEchoModel('App.Models.Post', 5, 'PostDeleted', telling('model'))
  const news = usePublicChannel('news')
  const orders = useChannel('orders.1')
  const post = useChannel('App.Models.Post.5')
  const present = usePresenceChannel(room)
  useEffect(() => {
    news.channel().subscribed(telling('subscribed')).listen('Announced', telling('news'))
    orders.channel().subscribed(telling('subscribed'))
    post.channel().subscribed(telling('subscribed'))
    present
      .channel()
      .here(telling('here'))
      .joining(telling('joining'))
      .leaving(telling('leaving'))
      .listenForWhisper('typing', telling('whisper'))
  }, [news, orders, post, present])

  const status = useConnectionStatus()
  const socketId = useSocketId()
  useEffect(() => telling('status')(status), [status])
  useEffect(() => telling('socketId')(socketId), [socketId])
  return (
    <p>
      {status} {socketId}
    </p>
  )
}
