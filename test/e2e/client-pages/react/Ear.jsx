import { useEcho } from '@laravel/echo-react'
import { useEffect } from 'react'

export function Ear({ name, number, orders }) {
  const { channel } = useEcho(`orders.${orders}`, 'Announced', () => tell(name, number), [number])
  useEffect(() => {
    channel()
      .subscribed(() => tell('subscribed', name))
      .error(() => tell('denied', name))
  }, [channel, name])
  return (
    <p>
      {name} {number}
    </p>
  )
}
