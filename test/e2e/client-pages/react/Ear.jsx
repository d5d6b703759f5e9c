import { useEcho } from '@laravel/echo-react'
import { useEffect } from 'react'

export function Ear({ name, number, orders }) {
  const { channel } = useEcho(`orders.${orders}`, 'Announced', () => tell(name, number), [number])
  useEffect(() => void channel().subscribed(() => tell('subscribed', name)), [channel, name])
  return (
    <p>
      {name} {number}
    </p>
  )
}
